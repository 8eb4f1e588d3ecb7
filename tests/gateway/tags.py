"""Tags for the gateway's tests: real keys, real seals, no firmware."""

from typing import Any

from tagfleet.oracle import NonceOracle
from taghub.heard import Heard
from tagwire.alarm import with_reason
from tagwire.beacon import COMPANY_ID_TEST, KIND_ALARM, KIND_SAMPLE, advertisement, seal_beacon
from tagwire.fields import FIX_5M, MOTION_STILL, TIME_GNSS, Reading, pack_body, to_codes
from tagwire.keyring import KeyringEntry
from tagwire.keys import beacon_key, id_key
from tagwire.seal import aes128

NOW_S = 1_790_000_000
NOW_US = NOW_S * 1_000_000
EPOCH = NOW_S // 1024


def reading(temperature_mc: int = 21_000, time_s: int | None = NOW_S) -> Reading:
    return Reading(525200000, 134050000, temperature_mc, 45_000, 3_600, FIX_5M, MOTION_STILL, time_s, TIME_GNSS)


class Tag:
    """A tag of one root key; `beacon` seals as the firmware does, and shows every frame to the oracle."""

    oracle = NonceOracle()
    """Of all tags of a test, see conftest."""

    def __init__(self, tag_id: int, generation: int = 0) -> None:
        self.tag_id = tag_id
        self.generation = generation
        self.root_key = tag_id.to_bytes(16, "big")

    def key(self, generation: int | None = None) -> bytes:
        return beacon_key(self.root_key, self.generation if generation is None else generation)

    def id_key(self, generation: int | None = None) -> bytes:
        return id_key(self.root_key, self.generation if generation is None else generation)

    def entry(self, **changes: Any) -> KeyringEntry:
        return KeyringEntry(self.tag_id, self.generation, self.key())._replace(**changes)

    def beacon(
        self,
        counter: int,
        values: Reading | None = None,
        hints: int = 0,
        reason: int | None = None,
        epoch: int | None = None,
    ) -> bytes:
        """A sample, or an alarm where it has a `reason`; under the private name of an `epoch` where one is given."""
        key = self.key(counter >> 24)
        codes = to_codes(values or reading())
        kind = KIND_SAMPLE
        if reason is not None:
            kind, codes = KIND_ALARM, with_reason(codes, reason)
        naming = () if epoch is None else (aes128(self.id_key(counter >> 24)), epoch)
        frame = seal_beacon(aes128(key), self.tag_id, counter, pack_body(codes), hints, kind, *naming)
        Tag.oracle.check_beacon(key, self.tag_id, counter, frame, epoch or 0)
        return frame

    def heard(
        self,
        counter: int,
        values: Reading | None = None,
        hints: int = 0,
        t_us: int = NOW_US,
        reason: int | None = None,
        epoch: int | None = None,
    ) -> Heard:
        return Heard(t_us, -60, self.beacon(counter, values, hints, reason, epoch))

    def advertisement(self, counter: int, values: Reading | None = None, company_id: int = COMPANY_ID_TEST) -> bytes:
        return advertisement(company_id, self.beacon(counter, values))
