"""Air and trace records read and write the vectors."""

from typing import Any

import numpy as np
import pytest
from vector_files import each, load

from tagwire import air, trace

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
    assert decoder.feed(STREAM[:-1])[-1].type == 1
    assert decoder.pending_bytes == 17 + 254


@each("air", "air")
def test_air_record_is_written(case: dict[str, Any]) -> None:
    address, data = bytes.fromhex(case["address"]), bytes.fromhex(case["data"])
    if case["type"] != air.RECORD_ADVERTISEMENT or len(data) > 31:
        return  # a reader steps over it; nothing writes it
    assert air.encode_advertisement(int(case["t_us"]), case["rssi_dbm"], address, data).hex() == case["record"]
    if len(data) == 31:
        many = air.encode_advertisements(
            np.array([int(case["t_us"])] * 3, np.uint64),
            np.array([case["rssi_dbm"]] * 3),
            np.frombuffer(address * 3, np.uint8).reshape(3, 6),
            np.frombuffer(data * 3, np.uint8).reshape(3, 31),
        )
        assert many.hex() == case["record"] * 3


@each("air", "trace")
def test_trace_record(case: dict[str, Any]) -> None:
    record = trace.encode(case["event"], case["tag"], case["counter"], int(case["t_us"]))
    assert record.hex() == case["record"]
    assert [tuple(found) for found in trace.iter_records(record * 2 + record[:5])] == [
        (case["event"], case["tag"], case["counter"], int(case["t_us"]))
    ] * 2
