"""What else is in the air: other makers' advertisements, and people who forge and replay ours. Pure.

None of it may ever reach MQTT.
"""

from collections.abc import Callable

import numpy as np

from tagwire.beacon import BEACON_BYTES, advertisement

_RECORDINGS_MAX = 1000


class Intruder:
    """Makes hostile AdvData from what it overheard."""

    def __init__(self, seed: int, company_id: int) -> None:
        self._rng = np.random.default_rng([seed, 666])
        self._company_id = company_id
        self._recordings: dict[bytes, bytes] = {}  # one a tag, by its id: the first beacon that was overheard
        self._tricks: tuple[Callable[[], bytes], ...] = (
            self.foreign,
            self.unknown_tag,
            self.forged,
            self.replayed,
            self.truncated,
        )

    def overhear(self, beacon: bytes) -> None:
        """A genuine beacon that the gateway has been sent."""
        if len(self._recordings) < _RECORDINGS_MAX:
            self._recordings.setdefault(beacon[1:5], beacon)

    def advertisements(self, count: int) -> list[bytes]:
        """Some AdvData, every kind in turn."""
        return [self._tricks[self._rng.integers(len(self._tricks))]() for _ in range(count)]

    def foreign(self) -> bytes:
        """Another maker's beacon (the form of an iBeacon: 0x004C, type 0x02, 21 bytes)."""
        return b"\x02\x01\x06\x1a\xff\x4c\x00\x02\x15" + self._rng.bytes(21)

    def unknown_tag(self) -> bytes:
        """Well formed, of a tag that is in no keyring."""
        return advertisement(self._company_id, self._genuine()[:1] + b"\xff\xff\xff\xfe" + self._rng.bytes(19))

    def forged(self) -> bytes:
        """A genuine beacon with one bit turned, anywhere behind byte 0."""
        beacon = bytearray(self._genuine())
        beacon[int(self._rng.integers(1, BEACON_BYTES))] ^= 1 << int(self._rng.integers(8))
        return advertisement(self._company_id, bytes(beacon))

    def replayed(self) -> bytes:
        """A genuine beacon, recorded at the beginning."""
        return advertisement(self._company_id, self._genuine())

    def truncated(self) -> bytes:
        """An AD structure that says it is longer than the rest."""
        return advertisement(self._company_id, self._genuine())[: int(self._rng.integers(4, 31))]

    def _genuine(self) -> bytes:
        if not self._recordings:
            return b"\x01" + self._rng.bytes(BEACON_BYTES - 1)
        return list(self._recordings.values())[int(self._rng.integers(len(self._recordings)))]
