"""What a radio hands to the intake. Pure."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from tagwire.air import ADDRESS_BYTES, RECORD_ADVERTISEMENT, Record
from tagwire.beacon import ADVERTISEMENT_BYTES, BEACON_BYTES, advertisement, manufacturer_data

_PREFIX_BYTES = ADVERTISEMENT_BYTES - BEACON_BYTES
_FULL_RECORD = struct.Struct(f"<BQb{ADDRESS_BYTES}sx{_PREFIX_BYTES}s{BEACON_BYTES}s")
"""A full advertisement's record: type, time, RSSI, address, (length,) what stands before the beacon, the beacon."""


class Heard(NamedTuple):
    """One report of a radio: Unix time in microseconds, RSSI in dBm, the manufacturer payload of this hub's company
    id, of any length and content: nothing in it is checked yet; and the sender's address as its radio writes it, by
    which that radio can connect to it, empty where it is not told."""

    t_us: int
    rssi_dbm: int
    payload: bytes
    address: bytes = b""


def from_run(run: bytes, company_id: int, heard_us: int | None = None) -> list[Heard]:
    """`from_records` of what `tagwire.air.Decoder.feed_run` gives, at half its cost."""
    ours = advertisement(company_id, bytes(BEACON_BYTES))[:_PREFIX_BYTES]
    heard: list[Heard] = []
    new = tuple.__new__  # what Heard(...) comes to, at a third of its cost
    for record_type, t_us, rssi_dbm, address, prefix, payload in _FULL_RECORD.iter_unpack(run):
        if record_type != RECORD_ADVERTISEMENT:
            continue
        if prefix != ours:  # not as our own tags write it
            found = manufacturer_data(prefix + payload, company_id)
            if found is None:
                continue
            payload = found
        heard.append(new(Heard, (t_us if heard_us is None else heard_us, rssi_dbm, payload, address)))
    return heard


def from_records(records: Iterable[Record], company_id: int, heard_us: int | None = None) -> list[Heard]:
    """The air records that carry the company's manufacturer data; the rest (other makers, other types) is left out.

    `heard_us` takes the place of the records' own time where it is given.
    """
    prefix = advertisement(company_id, bytes(BEACON_BYTES))[:_PREFIX_BYTES]
    heard: list[Heard] = []
    new = tuple.__new__  # what Heard(...) comes to, at a third of its cost
    for record_type, t_us, rssi_dbm, address, adv_data in records:
        if record_type != RECORD_ADVERTISEMENT:
            continue
        if len(adv_data) == ADVERTISEMENT_BYTES and adv_data.startswith(prefix):  # as our own tags write it
            payload = adv_data[_PREFIX_BYTES:]
        elif (found := manufacturer_data(adv_data, company_id)) is not None:
            payload = found
        else:
            continue
        heard.append(new(Heard, (t_us if heard_us is None else heard_us, rssi_dbm, payload, address)))
    return heard
