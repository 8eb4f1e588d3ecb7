"""The air's records: any split of the stream, unknown types, and any bytes at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagwire import air
from tagwire.errors import EncodeError

ADDRESS = bytes(range(6))

records = st.lists(
    st.builds(
        air.Record,
        st.integers(0, 255),
        st.integers(0, (1 << 64) - 1),
        st.integers(-128, 127),
        st.binary(min_size=6, max_size=6),
        st.one_of(st.binary(max_size=255), st.binary(min_size=31, max_size=31)),
    ),
    max_size=20,
)


def encoded(record: air.Record) -> bytes:
    header = air.HEADER.pack(record.type, record.t_us, record.rssi_dbm, record.address, len(record.data))
    return header + record.data


def test_advertisement_bytes() -> None:
    data = air.encode_advertisement(0x0102030405060708, -60, ADDRESS, b"\x02\x01\x06")
    assert data.hex() == "010807060504030201c400010203040503020106"


@given(records)
def test_decoder_whole_stream(expected: list[air.Record]) -> None:
    decoder = air.Decoder()
    assert decoder.feed(b"".join(map(encoded, expected))) == expected
    assert decoder.pending_bytes == 0


@given(records, st.integers(1, 60))
def test_decoder_pieces(expected: list[air.Record], piece: int) -> None:
    stream = b"".join(map(encoded, expected)) + b"\x01\x00"
    decoder = air.Decoder()
    decoded = [record for i in range(0, len(stream), piece) for record in decoder.feed(stream[i : i + piece])]
    assert decoded == expected
    assert decoder.pending_bytes == 2


@given(st.lists(st.binary(max_size=400), max_size=10))
def test_decoder_any_bytes_raise_nothing_and_are_not_hoarded(pieces: list[bytes]) -> None:
    decoder = air.Decoder()
    for piece in pieces:
        decoder.feed(piece)
        assert decoder.pending_bytes < air.HEADER_BYTES + 255


def test_bulk_encoder_equals_scalar() -> None:
    rng = np.random.default_rng(1)
    adv = rng.integers(0, 256, (50, 31), dtype=np.uint8)
    addresses = rng.integers(0, 256, (50, 6), dtype=np.uint8)
    t_us = np.arange(50) + 1_790_000_000_000_000
    rssi_dbm = rng.integers(-128, 128, 50)
    scalar = [
        air.encode_advertisement(int(t), int(rssi), bytes(address), bytes(data))
        for t, rssi, address, data in zip(t_us, rssi_dbm, addresses, adv, strict=True)
    ]
    assert air.encode_advertisements(t_us, rssi_dbm, addresses, adv) == b"".join(scalar)


@pytest.mark.parametrize(
    ("t_us", "rssi_dbm", "address", "adv_data"),
    [
        (-1, 0, ADDRESS, b""),
        (1 << 64, 0, ADDRESS, b""),
        (0, 128, ADDRESS, b""),
        (0, 0, b"12345", b""),
        (0, 0, ADDRESS, bytes(32)),
    ],
)
def test_encoder_refuses(t_us: int, rssi_dbm: int, address: bytes, adv_data: bytes) -> None:
    with pytest.raises(EncodeError):
        air.encode_advertisement(t_us, rssi_dbm, address, adv_data)


def test_bulk_encoder_refuses_other_shapes() -> None:
    two, addresses, adv_data = np.zeros(2, np.int64), np.zeros((2, 6), np.uint8), np.zeros((2, 31), np.uint8)
    assert len(air.encode_advertisements(two, two, addresses, adv_data)) == 2 * 48
    with pytest.raises(EncodeError):
        air.encode_advertisements(two, two, addresses, adv_data[:1])
    with pytest.raises(EncodeError):
        air.encode_advertisements(two, two[:1], addresses, adv_data)
