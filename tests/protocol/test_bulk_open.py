"""Many beacons opened at once: the same bodies as one by one, and a mark where the seal does not fit."""

import numpy as np
import pytest

from tagwire import bulk
from tagwire.beacon import BEACON_BYTES
from tagwire.errors import EncodeError
from tagwire.seal import aes128


@pytest.mark.parametrize("private", [False, True])
def test_opened_bodies_are_the_sealed_ones(private: bool) -> None:
    rng = np.random.default_rng(1)
    keys = [rng.bytes(16) for _ in range(20)] * 3
    ids, counters = rng.integers(0, 1 << 32, 60), rng.integers(0, 1 << 32, 60)
    bodies = rng.integers(0, 256, (60, 11)).astype(np.uint8)
    names, epochs = None, 0
    if private:
        epochs = 1_748_046
        block = epochs.to_bytes(16, "little")
        names = np.frombuffer(b"".join(aes128(key)(block)[:6] for key in keys), np.uint8).reshape(60, 6)
    beacons = bulk.seal_beacons(keys, ids, counters, bodies, names=names, epochs=epochs).copy()
    beacons[5, 20] ^= 1
    beacons[6, 9] ^= 1
    opened, authentic = bulk.open_beacons(keys, ids, counters, beacons, epochs)
    assert np.flatnonzero(~authentic).tolist() == [5, 6]
    assert (opened[authentic] == bodies[authentic]).all()
    assert not opened[~authentic].any()


def test_shapes_that_do_not_fit_are_the_callers_error() -> None:
    with pytest.raises(EncodeError):
        bulk.open_beacons([bytes(16)], [1], [1], np.zeros((1, BEACON_BYTES + 1), np.uint8))
