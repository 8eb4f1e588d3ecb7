"""What else is in the air: other makers' advertisements, and people who forge and replay ours. Pure.

None of it may ever reach MQTT.
"""

from collections.abc import Callable

import numpy as np

from tagfleet.air.heard import Heard
from tagfleet.radio import addresses
from tagwire.air import encode_advertisement
from tagwire.beacon import BEACON_BYTES, advertisement

_RECORDINGS_MAX = 1000  # of each hub
_RSSI_DBM = -82
_ADDRESS = addresses(np.array([0xDEADBEEF], np.int64))[0].tobytes()


class Intruder:
    """Makes hostile AdvData from what it overheard; somebody with ears and mouths at some hubs."""

    def __init__(self, seed: int, company_id: int) -> None:
        self.sent = 0
        self._rng = np.random.default_rng([seed, 666])
        self._company_id = company_id
        self._recordings: dict[int, dict[bytes, bytes]] = {}  # of each hub one a tag: the first beacon, by the tag's id
        self._owed: dict[int, float] = {}
        self._tricks: tuple[Callable[[int], bytes], ...] = (
            self.foreign,
            self.unknown_tag,
            self.forged,
            self.replayed,
            self.truncated,
        )

    def overhear(self, hub: int, heard: Heard) -> None:
        """What a hub's radio has reported."""
        recordings = self._recordings.setdefault(hub, {})
        for adv_data in heard.adv_data:
            if len(recordings) >= _RECORDINGS_MAX:
                return
            beacon = adv_data[-BEACON_BYTES:].tobytes()
            recordings.setdefault(beacon[1:5], beacon)

    def records(self, hub: int, t_us: int, count: float) -> bytes:
        """About `count` advertisements as air records for a hub, at `t_us`."""
        owed = self._owed.get(hub, 0.0) + count
        whole = int(owed)
        self._owed[hub] = owed - whole
        self.sent += whole
        hostile = self.advertisements(hub, whole)
        return b"".join(encode_advertisement(t_us, _RSSI_DBM, _ADDRESS, adv_data) for adv_data in hostile)

    def advertisements(self, hub: int, count: int) -> list[bytes]:
        """Some AdvData, every kind in turn."""
        return [self._tricks[self._rng.integers(len(self._tricks))](hub) for _ in range(count)]

    def foreign(self, hub: int) -> bytes:
        """Another maker's beacon (the form of an iBeacon: 0x004C, type 0x02, 21 bytes)."""
        return b"\x02\x01\x06\x1a\xff\x4c\x00\x02\x15" + self._rng.bytes(21)

    def unknown_tag(self, hub: int) -> bytes:
        """Well formed, of a tag that is in no keyring."""
        return advertisement(self._company_id, self._genuine(hub)[:1] + b"\xff\xff\xff\xfe" + self._rng.bytes(19))

    def forged(self, hub: int) -> bytes:
        """A genuine beacon with one bit turned, anywhere behind byte 0."""
        beacon = bytearray(self._genuine(hub))
        beacon[int(self._rng.integers(1, BEACON_BYTES))] ^= 1 << int(self._rng.integers(8))
        return advertisement(self._company_id, bytes(beacon))

    def replayed(self, hub: int) -> bytes:
        """A genuine beacon, recorded at the beginning."""
        return advertisement(self._company_id, self._genuine(hub))

    def truncated(self, hub: int) -> bytes:
        """An AD structure that says it is longer than the rest."""
        return advertisement(self._company_id, self._genuine(hub))[: int(self._rng.integers(4, 31))]

    def _genuine(self, hub: int) -> bytes:
        recordings = list(self._recordings.get(hub, {}).values())
        if not recordings:
            return b"\x01" + self._rng.bytes(BEACON_BYTES - 1)
        return recordings[int(self._rng.integers(len(recordings)))]
