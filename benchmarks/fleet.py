"""A fleet to measure with: 1,000 tags of random keys and readings, the same from run to run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagwire import air, bulk
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.bulk import Bytes2D, Int64s, ReadingColumns
from tagwire.keyring import KeyringEntry

TAGS = 1_000
SAMPLES_A_TAG = 40


class Fleet(NamedTuple):
    """Rows in the order they are heard: every tag once, then every tag again. `keys` has one key a row."""

    keyring: dict[int, KeyringEntry]
    keys: list[bytes]
    tag_ids: Int64s
    counters: Int64s
    bodies: Bytes2D
    beacons: Bytes2D

    def only(self, rows: NDArray[np.bool_]) -> "Fleet":
        """Some of the rows."""
        keys = [key for key, taken in zip(self.keys, rows.tolist(), strict=True) if taken]
        return Fleet(self.keyring, keys, self.tag_ids[rows], self.counters[rows], self.bodies[rows], self.beacons[rows])

    def further(self, steps: range) -> "Fleet":
        """What the tags of a fleet of one sample each send later, a round a step: so much above the first counter."""
        keys, tag_ids = self.keys * len(steps), np.tile(self.tag_ids, len(steps))
        bodies = np.tile(self.bodies, (len(steps), 1))
        counters = np.tile(self.counters, len(steps)) + np.repeat(np.array(steps), len(self.keys))
        return Fleet(self.keyring, keys, tag_ids, counters, bodies, bulk.seal_beacons(keys, tag_ids, counters, bodies))

    def air_bytes(self) -> bytes:
        """Each beacon once, as a flock sends it."""
        n = len(self.keys)
        random = np.random.default_rng(2)
        return air.encode_advertisements(
            1_790_000_000_000_000 + np.arange(n) * 1_000,
            random.integers(-95, -50, n),
            random.integers(0, 256, (n, 6)).astype(np.uint8),
            bulk.advertisements(COMPANY_ID_TEST, self.beacons),
        )


def make_fleet(tags: int = TAGS, samples_a_tag: int = SAMPLES_A_TAG) -> Fleet:
    random = np.random.default_rng(1)
    n = tags * samples_a_tag
    ids = random.choice(1 << 32, tags, replace=False)
    keys = [random.bytes(16) for _ in range(tags)]
    firsts = random.integers(0, 1 << 15, tags)
    readings = ReadingColumns(
        random.integers(360_000_000, 600_000_000, n),
        random.integers(-90_000_000, 300_000_000, n),
        random.integers(-25_000, 35_000, n),
        random.integers(20_000, 95_000, n),
        random.integers(2_000, 4_200, n),
        random.integers(1, 8, n),
        random.integers(0, 3, n),
        1_790_000_000 + np.repeat(np.arange(samples_a_tag) * 300, tags),
        np.full(n, 3),
    )
    bodies = bulk.pack_bodies(bulk.to_codes(readings))
    row_keys = keys * samples_a_tag
    tag_ids = np.tile(ids, samples_a_tag)
    counters = np.tile(firsts, samples_a_tag) + np.repeat(np.arange(samples_a_tag), tags)
    beacons = bulk.seal_beacons(row_keys, tag_ids, counters, bodies)
    keyring = {
        int(tag_id): KeyringEntry(int(tag_id), 0, key, last_counter=int(first) - 1 if first else None)
        for tag_id, key, first in zip(ids, keys, firsts, strict=True)
    }
    return Fleet(keyring, row_keys, tag_ids, counters, bodies, beacons)
