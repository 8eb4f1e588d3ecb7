"""Twins in a run: who they are, and what they tell the ledger. Pure."""

import contextlib
from collections.abc import Mapping

import numpy as np

from tagfleet.flock import in_cells
from tagfleet.identity import make_provisions
from tagfleet.ledger import Ledger
from tagfleet.oracle import NonceOracle
from tagfleet.twin.counters import UnknownSeal, is_service, sealed_under
from tagwire.beacon import HINT_BACKLOG, HINT_CONNECTABLE, HINT_PRIVATE, parse_header
from tagwire.bulk import (
    NOT_AVAILABLE,
    ReadingColumns,
    from_codes,
    open_beacons,
    pack_bodies,
    seal_beacons,
    to_codes,
    unpack_bodies,
    with_reasons,
)
from tagwire.counter import make_counter
from tagwire.fields import Reading
from tagwire.keys import beacon_key
from tagwire.provision import Provision
from tagwire.seal import aes128

_UNEQUAL_MAX = 5


def twin_provisions(
    seed: int, first_tag_id: int, twins: int, interval_s: int, settings: Mapping[str, int | bool | str] | None = None
) -> list[Provision]:
    """Provisions of twins with a sample each `interval_s`, no wait for a person at a console, and further settings."""
    own: dict[str, int | bool | str] = {"interval_s": interval_s, "repl_window_s": 0}
    return make_provisions(seed, first_tag_id, twins, settings=own | dict(settings or {}))


class TwinWatch:
    """What twins made, advertised and were heard to say, for the ledger and past the nonce oracle."""

    def __init__(self, provisions: list[Provision], ledger: Ledger, oracle: NonceOracle) -> None:
        self._keys = {p.tag_id: beacon_key(p.root_key, p.generation) for p in provisions}
        self._ciphers = {tag_id: aes128(key) for tag_id, key in self._keys.items()}
        self._last = {p.tag_id: make_counter(p.generation, 0) for p in provisions}
        self._ledger = ledger
        self._oracle = oracle
        self.unequal: list[str] = []
        """Frames that the flock's arithmetic would have written with other bytes."""

    def made(self, tag_id: int, counter: int, truth: Reading, t_us: int, alarm: bool = False) -> None:
        """A sample's first beacon goes on the air."""
        row = np.array([[NOT_AVAILABLE if value is None else value for value in truth]], np.int64)
        readings = ReadingColumns(*row.T)
        if alarm:
            everywhere = np.ones(1, bool)
            codes = with_reasons(to_codes(readings), np.zeros(1, np.int64))
            readings = in_cells(readings, from_codes(codes, everywhere), everywhere)
        self._last[tag_id] = counter
        self._ledger.made(np.array([tag_id]), np.array([counter]), readings, np.array([t_us]))

    def advertised(self, tag_id: int, frame: bytes, t_us: int) -> None:
        """A burst of a sample begins. Raises NonceReuse, and UnknownSeal for a frame of another key."""
        if is_service(frame):
            return
        counter = sealed_under(self._ciphers[tag_id], frame, self._last[tag_id])
        self._oracle.check_beacon(self._keys[tag_id], tag_id, counter, frame)
        again = flock_frame(self._keys[tag_id], tag_id, counter, frame)
        if again is not None and again != frame and len(self.unequal) < _UNEQUAL_MAX:
            self.unequal.append(f"twin {tag_id} counter {counter}: {frame.hex()}, the flock writes {again.hex()}")

    def reported(self, tag_id: int, frame: bytes, t_us: int) -> None:
        """A gateway's radio has heard a frame of a twin; from then on the sample is the gateway's to deliver."""
        with contextlib.suppress(UnknownSeal):  # `advertised` has said so
            counter = sealed_under(self._ciphers[tag_id], frame, self._last[tag_id])
            self._ledger.reported(np.array([tag_id]), np.array([counter]), 0, t_us)


def flock_frame(key: bytes, tag_id: int, counter: int, frame: bytes) -> bytes | None:
    """What the flock would have sent in the place of a twin's frame: its body's codes packed and sealed by numpy. None
    for a frame that a flock has no word for (a private id)."""
    header = parse_header(frame)
    if header.hints & HINT_PRIVATE:
        return None
    beacons = np.frombuffer(frame, np.uint8).reshape(1, -1)
    bodies, authentic = open_beacons([key], [tag_id], [counter], beacons)
    if not authentic[0]:
        return b""
    hints = frame[0] & (HINT_BACKLOG | HINT_CONNECTABLE)
    packed = pack_bodies(unpack_bodies(bodies))
    return seal_beacons([key], [tag_id], [counter], packed, hints, header.kind).tobytes()
