"""From air records to reports: the quick way for a flock gives what the general one gives."""

from hypothesis import given
from hypothesis import strategies as st

from taghub.heard import Heard, from_records, from_run
from tagwire.air import FULL_BYTES, RECORD_ADVERTISEMENT, Decoder
from tagwire.air import HEADER as RECORD_HEADER
from tagwire.beacon import COMPANY_ID_TEST, advertisement

OURS = advertisement(COMPANY_ID_TEST, bytes(range(24)))
OTHER_COMPANY = advertisement(0x004C, bytes(24))
WITHOUT_FLAGS = b"\x1b\xff\xff\xff" + bytes(24) + b"\x02\x0a\x00"
adv_data = st.sampled_from([OURS, OTHER_COMPANY, WITHOUT_FLAGS]) | st.binary(min_size=31, max_size=31)
records = st.builds(
    lambda kind, t_us, rssi, data: RECORD_HEADER.pack(kind, t_us, rssi, bytes(6), len(data)) + data,
    st.sampled_from([RECORD_ADVERTISEMENT, RECORD_ADVERTISEMENT, 2]),
    st.integers(0, (1 << 64) - 1),
    st.integers(-128, 127),
    adv_data | st.binary(max_size=40),
)


def reports_in_pieces(stream: bytes, piece_bytes: int, heard_us: int | None) -> list[Heard]:
    decoder = Decoder()
    reports: list[Heard] = []
    for start in range(0, len(stream), piece_bytes):
        reports += from_run(decoder.feed_run(stream[start : start + piece_bytes]), COMPANY_ID_TEST, heard_us)
        reports += from_records(decoder.feed(b""), COMPANY_ID_TEST, heard_us)
    return reports


@given(st.lists(records, max_size=30), st.integers(1, 500), st.none() | st.just(7))
def test_runs_and_records_give_the_same_reports(stream: list[bytes], piece_bytes: int, heard_us: int | None) -> None:
    whole = b"".join(stream)
    expected = from_records(Decoder().feed(whole), COMPANY_ID_TEST, heard_us)
    assert reports_in_pieces(whole, piece_bytes, heard_us) == expected


def test_report_names_its_sender() -> None:
    full = RECORD_HEADER.pack(RECORD_ADVERTISEMENT, 1, -60, b"ABCDEF", 31) + OURS
    short = RECORD_HEADER.pack(RECORD_ADVERTISEMENT, 1, -60, b"GHIJKL", len(WITHOUT_FLAGS)) + WITHOUT_FLAGS
    heard = reports_in_pieces(full * 2, 500, None) + reports_in_pieces(full + short, 500, None)
    assert [report.address for report in heard] == [b"ABCDEF"] * 3 + [b"GHIJKL"]


@given(st.binary(max_size=2000), st.integers(1, 500))
def test_noise_gives_the_same_reports_either_way(noise: bytes, piece_bytes: int) -> None:
    assert reports_in_pieces(noise, piece_bytes, None) == from_records(Decoder().feed(noise), COMPANY_ID_TEST)


def test_run_leaves_what_follows_for_the_general_way() -> None:
    full = RECORD_HEADER.pack(RECORD_ADVERTISEMENT, 1, -60, bytes(6), 31) + OURS
    decoder = Decoder()
    assert decoder.feed_run(full * 3 + full[:20]) == full * 3
    assert decoder.pending_bytes == 20
    assert decoder.feed_run(full[20:]) == full
    assert len(full) == FULL_BYTES
