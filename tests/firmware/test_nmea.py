"""The NMEA reader on sentences as receivers write them, against pynmeagps, and on whatever else a UART may bring."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pynmeagps import NMEAReader

from tag.sensors.nmea import LINE_BYTES_MAX, Fix, NmeaReader, angle_e7, fixed_point, unix_time_s

RECEIVERS = Path(__file__).with_name("receivers")
FILES = sorted(RECEIVERS.glob("*.txt"))

RMC = "GNRMC,101530.00,A,4813.16554,N,01622.07391,E,0.214,,231126,,,A"
GGA = "GNGGA,101530.00,4813.16554,N,01622.07391,E,1,09,0.98,171.3,M,42.9,M,,"
FIX = Fix(1795428930, 482194257, 163678985, 294, 110)


def line(text: str, checksum: int | None = None) -> bytes:
    if checksum is None:
        checksum = 0
        for byte in text.encode():
            checksum ^= byte
    return f"${text}*{checksum:02X}\r\n".encode()


def text_of(path: Path) -> bytes:
    return path.read_bytes().replace(b"\n", b"\r\n")


def fed(data: bytes, size: int) -> list[Fix]:
    reader = NmeaReader()
    return [fix for start in range(0, len(data), size) for fix in reader.feed(data[start : start + size])]


# receiver: fixes, as they can be read from the text by hand
EXPECTED = {
    "ublox_m8": [FIX, Fix(1795428931, 482195017, 163680175, 243, 14356)],
    "ublox_m10_gst": [
        Fix(1830297599, -338568700, 1512095557, 165, 19),
        Fix(1830297600, -338568698, 1512095560, 2937, 11),  # over New Year, accuracy by GST
    ],
    "quectel_l76": [Fix(1788329682, 318463700, 1171987967, 402, 0)],
    "quectel_lc29h": [Fix(1813995704, 318222304, 1171153234, 174, 6)],  # GGA of 90 characters
    "mediatek_mt3339": [Fix(1784139723, 407128017, -740060050, 252, 1631)],  # then dead reckoning: no fix
    "casic_at6558_bd": [
        Fix(1804139412, 225309552, 1139450520, 660, 0),
        Fix(1804139413, 225309550, 1139450517, 1830, 0),
        Fix(1804139414, 225309548, 1139450513, None, None),  # neither HDOP nor speed
    ],
    "sirf_rollover": [  # dates 1,024 and 2,048 weeks too early
        Fix(1795515330, 482194250, 163678983, 510, 57),
        Fix(1795515331, 482194250, 163678983, 510, 57),
    ],
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 2, 7, 32, 100_000])
def test_receiver_text_in_any_split_gives_its_fixes(path: Path, size: int) -> None:
    assert fed(text_of(path), size) == EXPECTED[path.stem]


def test_every_receiver_has_its_expected_fixes() -> None:
    assert {path.stem for path in FILES} == set(EXPECTED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_receiver_text_reads_as_pynmeagps_reads_it(path: Path) -> None:
    fixes = fed(text_of(path), 100_000)
    messages = [NMEAReader.parse(sentence + b"\r\n") for sentence in path.read_bytes().splitlines()]
    ggas = [message for message in messages if message.msgID == "GGA" and message.quality in (1, 2, 3, 4, 5)]
    rmcs = [message for message in messages if message.msgID == "RMC" and message.status == "A"][: len(ggas)]
    assert len(fixes) == len(ggas) == len(rmcs)
    for fix, gga, rmc in zip(fixes, ggas, rmcs, strict=True):
        assert fix.latitude_e7 == pytest.approx(gga.lat * 1e7, abs=1)
        assert fix.longitude_e7 == pytest.approx(gga.lon * 1e7, abs=1)
        moment = datetime.fromtimestamp(fix.time_s, UTC)
        assert moment.time().replace(microsecond=0) == rmc.time.replace(microsecond=0)
        if path.stem != "sirf_rollover":
            assert moment.date() == rmc.date
        if isinstance(rmc.spd, float):
            assert fix.speed_mmps == pytest.approx(rmc.spd * 1852 / 3.6, abs=0.51)


def test_receiver_text_under_micropython_reads_the_same(micropython) -> None:  # type: ignore[no-untyped-def]
    script = Path(__file__).with_name("nmea_under_micropython.py")
    printed = micropython(str(script), *(str(path) for path in FILES))
    expected = [" ".join(map(str, fix)) for path in FILES for fix in EXPECTED[path.stem]]
    assert printed.splitlines() == expected


def test_order_and_interleaved_sentences_do_not_matter() -> None:
    other = line("GPGSV,1,1,00")
    assert fed(line(GGA) + other + line(RMC), 1000) == [FIX]
    assert fed(line(RMC) + b"\xb5\x62\x01\x07\x00\x00\x08\x19" + other + line(GGA), 1000) == [FIX]


def test_sentences_of_two_epochs_make_no_fix() -> None:
    assert fed(line(RMC) + line(GGA.replace("101530", "101531")), 1000) == []


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"])
def test_talker_does_not_matter(talker: str) -> None:
    assert fed(line(talker + RMC[2:]) + line(talker + GGA[2:]), 1000) == [FIX]


@pytest.mark.parametrize(
    ("rmc", "gga"),
    [
        (RMC.replace(",A,4", ",V,4"), GGA),
        (RMC[:-1] + "N", GGA),
        (RMC[:-1] + "E", GGA),
        (RMC, GGA.replace(",E,1,", ",E,0,")),
        (RMC, GGA.replace(",E,1,", ",E,6,")),
        (RMC, GGA.replace(",E,1,", ",E,8,")),
        (RMC, GGA.replace("4813.16554", "")),
        (RMC, GGA.replace("4813.16554", "4860.00000")),
        (RMC, GGA.replace("4813.16554", "9013.16554")),
        (RMC, GGA.replace("4813.16554", "48-3.16554")),
        (RMC, GGA.replace(",N,", ",X,")),
        (RMC, GGA.replace("01622.07391", "18022.07391")),
        (RMC.replace("231126", ""), GGA),
        (RMC.replace("231126", "321126"), GGA),
        (RMC.replace("231126", "231326"), GGA),
        (RMC.replace("101530.00", "241530.00"), GGA.replace("101530.00", "241530.00")),
        ("GNRMC,,V,,,,,,,,,,N", "GNGGA,,,,,,0,00,99.99,,,,,,"),
        ("GNRMC", "GNGGA"),
        ("XXRMC" + RMC[5:], GGA),
    ],
)
def test_what_is_no_fix_gives_none_and_the_next_epoch_does(rmc: str, gga: str) -> None:
    reader = NmeaReader()
    assert reader.feed(line(rmc) + line(gga)) == []
    later = line(RMC.replace("101530", "101531")) + line(GGA.replace("101530", "101531"))
    assert [fix.time_s for fix in reader.feed(later)] == [FIX.time_s + 1]


def test_bad_checksum_is_counted_and_costs_one_sentence() -> None:
    reader = NmeaReader()
    assert reader.feed(line(RMC, 0) + line(RMC) + line(GGA)) == [FIX]
    assert (reader.sentences, reader.rejected) == (2, 1)


def test_missing_checksum_is_rejected() -> None:
    reader = NmeaReader()
    assert reader.feed(f"${RMC}\r\n${GGA}\r\n$\r\n$*\r\n$*00\r\n".encode()) == []
    assert reader.sentences == 1  # "$*00": nothing, with the right checksum
    assert reader.rejected == 4


def test_lower_case_checksum_and_bare_line_feed_are_taken() -> None:
    text = line(RMC).lower().replace(RMC.lower().encode(), RMC.encode()) + line(GGA)
    assert fed(text.replace(b"\r\n", b"\n"), 1000) == [FIX]


def test_lost_line_end_costs_the_sentence_before() -> None:
    assert fed(line(GGA)[:-6] + line(RMC) + line(GGA), 1000) == [FIX]


def test_overlong_line_is_dropped_and_memory_stays_bounded() -> None:
    reader = NmeaReader()
    assert reader.feed(b"$" + b"A" * 100_000) == []
    assert reader.overlong == 1
    assert len(reader._line) <= LINE_BYTES_MAX
    assert reader.feed(line(RMC) + line(GGA)) == [FIX]


def test_receiver_that_sends_empty_gst_still_gives_fixes() -> None:
    empty = line("GNGST,101530.00,,,,,,,")
    assert fed(empty + line(RMC) + line(GGA), 1000) == [FIX]


def test_year_boundaries_and_leap_days() -> None:
    for moment in (
        datetime(2028, 2, 29, 23, 59, 59),
        datetime(2028, 3, 1),
        datetime(2027, 12, 31),
        datetime(2079, 6, 1),
    ):
        moment = moment.replace(tzinfo=UTC)
        stamp = unix_time_s(moment.strftime("%d%m%y").encode(), moment.strftime("%H%M%S.00").encode())
        assert stamp == moment.timestamp()


@given(st.binary(max_size=400), st.integers(1, 50))
@example(line(RMC) + line(GGA), 1)
def test_any_bytes_in_any_split_raise_nothing(data: bytes, size: int) -> None:
    assert fed(data, size) == fed(data, len(data) + 1)


FIELD = st.text(alphabet="0123456789.-,NSEWAVD*", max_size=14)


@given(st.sampled_from(["RMC", "GGA", "GST"]), st.lists(FIELD, max_size=15))
def test_any_fields_with_a_right_checksum_raise_nothing(kind: str, fields: list[str]) -> None:
    text = ",".join([f"GN{kind}", *fields]).replace("*", "")
    for fix in fed(line(text) + line(RMC) + line(GGA), 1000):
        assert abs(fix.latitude_e7) <= 900_000_000
        assert abs(fix.longitude_e7) <= 1_800_000_000


@given(st.integers(-900_000_000, 900_000_000))
def test_angle_of_seven_decimals_comes_back_exactly(latitude_e7: int) -> None:
    degrees, rest = divmod(abs(latitude_e7), 10_000_000)
    minutes_e7 = rest * 60
    text = b"%02d%02d.%07d" % (degrees, minutes_e7 // 10_000_000, minutes_e7 % 10_000_000)
    assert angle_e7(text, b"S" if latitude_e7 < 0 else b"N", b"N", b"S", 90) == latitude_e7


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"0.98", 98), (b"1", 100), (b"12.345", 1234), (b".5", 50), (b"", None), (b"-1", None), (b"1.2.3", None)],
)
def test_fixed_point(text: bytes, value: int | None) -> None:
    assert fixed_point(text, 2) == value


@pytest.mark.parametrize(
    ("sentences", "dark"),
    [
        ([RMC], False),  # it tells nothing of its satellites
        (["GPGSV,1,1,00"], True),
        (["GPGSV,1,1,00,1", "GAGSV,1,1,00,7"], True),  # NMEA 4.10: a signal id behind them
        (["GPGSV,1,1,02,02,41,288,,05,62,210,"], True),  # where they should be, by the almanac
        (["GPGSV,1,1,01,02,41,288,00"], True),
        (["GPGSV,1,1,00", "GLGSV,1,1,01,72,25,041,30"], False),
        (["GPGSV,1,1,04,02,41,288,,05,62,210,,07,23,061,,13,55,104,17,1"], False),
        (["GPGSV,1,1,01,02,41,288,21", "GPGSV,1,1,00"], False),  # there was one, so there may be again
        (["GPGSV,1,1", "GPGSV"], True),
    ],
)
def test_receiver_without_any_signal_is_known_by_what_it_tells_of_satellites(sentences: list[str], dark: bool) -> None:
    reader = NmeaReader()
    for sentence in sentences:
        assert reader.feed(line(sentence)) == []
    assert reader.is_dark == dark
    assert reader.rejected == 0


def test_satellites_do_not_come_between_a_fix_and_its_sentences() -> None:
    gsv = line("GPGSV,1,1,01,02,41,288,21")
    assert fed(line(RMC) + gsv + line(GGA) + gsv, 7) == [FIX]
