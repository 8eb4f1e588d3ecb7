"""Air and trace records read and write the vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vector_files import each, load

from tagwire import air, trace
from tagwire.errors import EncodeError

RECORDS = load("air")["air"]
STREAM = b"".join(bytes.fromhex(case["record"]) for case in RECORDS)
WANTED = [
    (case["type"], int(case["t_us"]), case["rssi_dbm"], bytes.fromhex(case["address"]), bytes.fromhex(case["data"]))
    for case in RECORDS
]


@pytest.mark.parametrize("piece_bytes", [1, 2, 16, 17, 48, 10_000])
def test_air_stream_in_pieces(piece_bytes: int) -> None:
    decoder = air.Decoder()
    found = [
        record
        for start in range(0, len(STREAM), piece_bytes)
        for record in decoder.feed(STREAM[start : start + piece_bytes])
    ]
    assert [tuple(record) for record in found] == WANTED
    assert decoder.feed(STREAM[:-1])[-1].type == air.RECORD_NOTIFY
    assert decoder.pending_bytes == 17 + 254


@each("air", "air")
def test_air_record_is_written(case: dict[str, Any]) -> None:
    address, data = bytes.fromhex(case["address"]), bytes.fromhex(case["data"])
    t_us, rssi_dbm = int(case["t_us"]), case["rssi_dbm"]
    assert air.encode_record(case["type"], t_us, address, data, rssi_dbm).hex() == case["record"]
    record = air.Record(case["type"], t_us, rssi_dbm, address, data)
    if case["type"] == air.RECORD_CONNECTED:
        assert air.encode_connected(t_us, address, air.frame_bytes(record), rssi_dbm).hex() == case["record"]
    if case["type"] == air.RECORD_DISCONNECTED:
        assert air.encode_disconnected(t_us, address, air.disconnect_reason(record)).hex() == case["record"]
    if case["type"] != air.RECORD_ADVERTISEMENT or len(data) > 31:
        return
    assert air.encode_advertisement(int(case["t_us"]), case["rssi_dbm"], address, data).hex() == case["record"]
    if len(data) == 31:
        many = air.encode_advertisements(
            np.array([int(case["t_us"])] * 3, np.uint64),
            np.array([case["rssi_dbm"]] * 3),
            np.frombuffer(address * 3, np.uint8).reshape(3, 6),
            np.frombuffer(data * 3, np.uint8).reshape(3, 31),
        )
        assert many.hex() == case["record"] * 3


def test_air_record_of_a_connection_that_says_nothing() -> None:
    connected = air.Record(air.RECORD_CONNECTED, 0, 127, bytes(6), b"\xf4")
    assert air.frame_bytes(connected) == 0
    assert air.disconnect_reason(air.Record(air.RECORD_DISCONNECTED, 0, 127, bytes(6), b"")) == air.DISCONNECTED_LOST
    writes: list[Callable[[], bytes]] = [
        lambda: air.encode_record(air.RECORD_WRITE, 0, bytes(6), bytes(256)),
        lambda: air.encode_record(air.RECORD_CONNECT, 0, bytes(5)),
        lambda: air.encode_record(air.RECORD_CONNECT, 1 << 64, bytes(6)),
        lambda: air.encode_connected(0, bytes(6), 0x10000),
        lambda: air.encode_disconnected(0, bytes(6), 256),
    ]
    for write in writes:
        with pytest.raises(EncodeError):
            write()


@pytest.mark.parametrize("others", [b"", bytes.fromhex(RECORDS[5]["record"])])
def test_air_run_holds_advertisements_only(others: bytes) -> None:
    full = air.encode_advertisement(1, -60, bytes(6), bytes(31))
    notify = air.encode_record(air.RECORD_NOTIFY, 1, bytes(6), bytes(31))  # as long as an advertisement
    decoder = air.Decoder()
    assert decoder.feed_run(full + notify + others) == b""
    assert [record.type for record in decoder.feed(b"")][:2] == [air.RECORD_ADVERTISEMENT, air.RECORD_NOTIFY]


@each("air", "trace")
def test_trace_record(case: dict[str, Any]) -> None:
    record = trace.encode(case["event"], case["tag"], case["counter"], int(case["t_us"]))
    assert record.hex() == case["record"]
    assert [tuple(found) for found in trace.iter_records(record * 2 + record[:5])] == [
        (case["event"], case["tag"], case["counter"], int(case["t_us"]))
    ] * 2
