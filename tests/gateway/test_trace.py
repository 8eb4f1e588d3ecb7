"""Trace records, and the reader that follows a growing file."""

from tagwire import trace


def test_record_bytes() -> None:
    assert trace.encode(trace.ACCEPTED, 0x01020304, 0x0A0B0C0D, 7).hex() == "02040302010d0c0b0a0700000000000000"


def test_round_trip_leaves_an_unfinished_record() -> None:
    data = trace.encode_many(trace.HEARD, [(1, 2), (3, 4)], 99)
    expected = [trace.TraceRecord(trace.HEARD, 1, 2, 99), trace.TraceRecord(trace.HEARD, 3, 4, 99)]
    assert list(trace.iter_records(data)) == expected
    assert list(trace.iter_records(data[:-1])) == expected[:1]
    assert list(trace.iter_records(b"")) == []
