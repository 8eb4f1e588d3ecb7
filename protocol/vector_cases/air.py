"""Air and trace records: how a simulator reaches a hub and sees inside it."""

from tagwire import reference
from vector_cases.subject import NOW_S, TAG_ID, Case


def air() -> Case:
    t_us = NOW_S * 1_000_000 + 250_000
    adv_data = bytes.fromhex("0201061bffffff") + bytes(range(24))
    records = [
        {"name": name, "type": type_, "t_us": str(t), "rssi_dbm": rssi_dbm, "address": address, "data": data.hex()}
        for name, type_, t, rssi_dbm, address, data in (
            ("a full advertisement", 1, t_us, -67, "0a0b0c0d0ec1", adv_data),
            ("the loudest and longest there can be", 1, (1 << 64) - 1, 127, "ffffffffffff", adv_data),
            ("the faintest, without data", 1, 0, -128, "000000000000", b""),
            ("longer than any AdvData: read, and searched like any", 1, t_us, -67, "0a0b0c0d0ec1", bytes(9) + adv_data),
            ("connect", 2, t_us, 127, "0a0b0c0d0ec1", b""),
            ("connected, frames of 244 bytes", 3, t_us, -67, "0a0b0c0d0ec1", b"\xf4\x00"),
            ("disconnect", 4, t_us, 127, "0a0b0c0d0ec1", b""),
            ("disconnected, as asked", 5, t_us, 127, "0a0b0c0d0ec1", b"\x00"),
            ("disconnected, no such device or not connectable", 5, t_us, 127, "0a0b0c0d0ec1", b"\x01"),
            ("disconnected, lost", 5, t_us, 127, "0a0b0c0d0ec1", b"\x02"),
            ("disconnected, by the tag", 5, t_us, 127, "0a0b0c0d0ec1", b"\x03"),
            ("write, of a hello", 6, t_us, 127, "0a0b0c0d0ec1", bytes.fromhex("010bb0000040514041424344454647")),
            ("notify, of a welcome", 7, t_us, -67, "0a0b0c0d0ec1", bytes.fromhex("055051525354555657")),
            ("notify, as long as an advertisement", 7, t_us, -67, "0a0b0c0d0ec1", bytes(31)),
            ("notify, of the longest frame", 7, t_us, -67, "0a0b0c0d0ec1", bytes(range(244))),
            ("a type of a later edition, 255 bytes: step over it", 200, t_us, 0, "000000000000", bytes(255)),
        )
    ]
    traces = [
        {"name": event, "event": number, "tag": TAG_ID, "counter": 42, "t_us": str(t_us + number)}
        for number, event in enumerate(("heard", "accepted", "spooled", "acknowledged"), 1)
    ]
    for record in records:
        values = {
            **record,
            "t_us": int(str(record["t_us"])),
            "address": bytes.fromhex(str(record["address"])),
            "data": bytes.fromhex(str(record["data"])),
        }
        record["record"] = reference.AirRecord.build(values).hex()
    for trace in traces:
        trace["record"] = reference.TraceRecord.build(
            {**trace, "t_us": int(str(trace["t_us"])), "tag_id": TAG_ID}
        ).hex()
    return {
        "about": "air: fields to the record's bytes; all in a row are a stream, and what a stream that ends inside a "
        "record leaves over is dropped. trace: likewise. t_us is a decimal string, as many readers of JSON hold only "
        "53 bits of a number.",
        "air": records,
        "trace": traces,
    }
