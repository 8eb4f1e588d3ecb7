"""What a radio hands to the intake. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from tagwire.air import ADDRESS_BYTES, RECORD_ADVERTISEMENT, Decoder, Record
from tagwire.beacon import (
    ADVERTISEMENT_BYTES,
    BEACON_BYTES,
    HINT_CONNECTABLE,
    advertisement,
    manufacturer_data,
)

_PREFIX_BYTES = ADVERTISEMENT_BYTES - BEACON_BYTES
_FULL_RECORD = np.dtype(
    [
        ("type", "u1"),
        ("t_us", "<u8"),
        ("rssi_dbm", "i1"),
        ("address", f"V{ADDRESS_BYTES}"),
        ("length", "u1"),
        ("prefix", f"V{_PREFIX_BYTES}"),
        ("frame", "u1", BEACON_BYTES),
    ]
)
"""A full advertisement's record: what stands before the beacon, and the beacon."""


class Heard(NamedTuple):
    """One report of a radio: Unix time in microseconds, RSSI in dBm, the manufacturer payload of this hub's company
    id, of any length and content: nothing in it is checked yet; and the sender's address as its radio writes it, by
    which that radio can connect to it, empty where it is not told."""

    t_us: int
    rssi_dbm: int
    payload: bytes
    address: bytes = b""


class Advertisement(NamedTuple):
    """Anything that a radio has heard, of whomever: Unix time in microseconds, RSSI in dBm, address, AdvData.

    Where the operating system tells what is in an advertisement and not its bytes, `adv_data` is put together again."""

    t_us: int
    rssi_dbm: int
    address: str
    adv_data: bytes


class HeardRun(Sequence[Heard]):
    """Many reports of whole beacons as columns, for a hub that hears thousands a second; else like a list of Heard.

    t_us: uint64[n]; rssi_dbm: int8[n]; frames: uint8[n, 24]; addresses: of 6 bytes, [n].
    """

    def __init__(
        self,
        t_us: NDArray[np.uint64],
        rssi_dbm: NDArray[np.int8],
        frames: NDArray[np.uint8],
        addresses: NDArray[np.void],
    ) -> None:
        self.t_us = t_us
        self.rssi_dbm = rssi_dbm
        self.frames = frames
        self.addresses = addresses

    def __len__(self) -> int:
        return len(self.t_us)

    @overload
    def __getitem__(self, index: int) -> Heard: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Heard]: ...
    def __getitem__(self, index: int | slice) -> Heard | Sequence[Heard]:
        if isinstance(index, slice):
            return HeardRun(self.t_us[index], self.rssi_dbm[index], self.frames[index], self.addresses[index])
        frame, address = self.frames[index].tobytes(), self.addresses[index].tobytes()
        return Heard(int(self.t_us[index]), int(self.rssi_dbm[index]), frame, address)

    def __iter__(self) -> Iterator[Heard]:
        frames = self.frames.view(f"V{BEACON_BYTES}").ravel().tolist()
        columns = self.t_us.tolist(), self.rssi_dbm.tolist(), frames, self.addresses.tolist()
        return map(Heard._make, zip(*columns, strict=True))

    def only(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "HeardRun":
        """Some of the reports: their indices, or which ones."""
        frames = np.ascontiguousarray(self.frames[rows])
        return HeardRun(self.t_us[rows], self.rssi_dbm[rows], frames, self.addresses[rows])


def from_run(run: bytes, company_id: int, heard_us: int | None = None) -> Sequence[Heard]:
    """`from_records` of what `tagwire.air.Decoder.feed_run` gives, as columns where all that is ours is as our own tags
    write it."""
    ours = advertisement(company_id, bytes(BEACON_BYTES))[:_PREFIX_BYTES]
    records = np.frombuffer(run, _FULL_RECORD)
    is_ours = records["prefix"] == np.void(ours)
    for record in records[~is_ours].tolist():
        if manufacturer_data(record[-2] + bytes(record[-1]), company_id) is not None:
            return from_records(Decoder().feed(run), company_id, heard_us)
    records = records[is_ours]
    t_us = records["t_us"] if heard_us is None else np.full(len(records), heard_us, np.uint64)
    return HeardRun(t_us, records["rssi_dbm"], np.ascontiguousarray(records["frame"]), records["address"])


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


def connectable(reports: Sequence[Heard]) -> Iterable[Heard]:
    """The reports that say that their tag accepts a connection now; nothing of that is checked."""
    if isinstance(reports, HeardRun):
        says_so = reports.frames[:, 0] & HINT_CONNECTABLE != 0
        return reports.only(says_so) if says_so.any() else ()
    return [report for report in reports if report.payload[:1] and report.payload[0] & HINT_CONNECTABLE]
