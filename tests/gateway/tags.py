"""Tags for the gateway's tests: real keys, real seals, no firmware."""

from taghub.heard import Heard
from tagwire.beacon import COMPANY_ID_TEST, advertisement, seal_beacon
from tagwire.fields import FIX_5M, MOTION_STILL, TIME_GNSS, Reading, encode_body
from tagwire.keyring import KeyringEntry
from tagwire.keys import beacon_key
from tagwire.seal import aes128

NOW_S = 1_790_000_000
NOW_US = NOW_S * 1_000_000


def reading(temperature_mc: int = 21_000, time_s: int | None = NOW_S) -> Reading:
    return Reading(525200000, 134050000, temperature_mc, 45_000, 3_600, FIX_5M, MOTION_STILL, time_s, TIME_GNSS)


class Tag:
    """A tag of one root key; `beacon` seals as the firmware does."""

    def __init__(self, tag_id: int, generation: int = 0) -> None:
        self.tag_id = tag_id
        self.generation = generation
        self.root_key = tag_id.to_bytes(16, "big")

    def key(self, generation: int | None = None) -> bytes:
        return beacon_key(self.root_key, self.generation if generation is None else generation)

    def entry(self, **changes: int | bytes | None) -> KeyringEntry:
        return KeyringEntry(self.tag_id, self.generation, self.key())._replace(**changes)

    def beacon(self, counter: int, values: Reading | None = None, hints: int = 0) -> bytes:
        encrypt = aes128(self.key(counter >> 24))
        return seal_beacon(encrypt, self.tag_id, counter, encode_body(values or reading()), hints)

    def heard(self, counter: int, values: Reading | None = None, hints: int = 0, t_us: int = NOW_US) -> Heard:
        return Heard(t_us, -60, self.beacon(counter, values, hints))

    def advertisement(self, counter: int, values: Reading | None = None, company_id: int = COMPANY_ID_TEST) -> bytes:
        return advertisement(company_id, self.beacon(counter, values))
