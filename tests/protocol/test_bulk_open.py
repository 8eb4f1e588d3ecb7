"""Many beacons opened at once: the same bodies as one by one, and a mark where the seal does not fit."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from tagwire import bulk
from tagwire.beacon import BEACON_BYTES
from tagwire.bulk_ccm import FRAMES_PER_KEY_MIN, group_by_key, open_frames
from tagwire.errors import EncodeError
from tagwire.seal import aes128


@pytest.mark.parametrize("frames_a_key", [1, 3, FRAMES_PER_KEY_MIN, 40])
@pytest.mark.parametrize("private", [False, True])
def test_opened_bodies_are_the_sealed_ones(private: bool, frames_a_key: int) -> None:
    rng = np.random.default_rng(1)
    n = 20 * frames_a_key
    keys = [rng.bytes(16) for _ in range(20)] * frames_a_key
    rng.shuffle(keys)
    ids, counters = rng.integers(0, 1 << 32, n), rng.integers(0, 1 << 32, n)
    bodies = rng.integers(0, 256, (n, 11)).astype(np.uint8)
    names, epochs = None, 0
    if private:
        epochs = 1_748_046
        block = epochs.to_bytes(16, "little")
        names = np.frombuffer(b"".join(aes128(key)(block)[:6] for key in keys), np.uint8).reshape(n, 6)
    beacons = bulk.seal_beacons(keys, ids, counters, bodies, names=names, epochs=epochs).copy()
    beacons[5, 20] ^= 1
    beacons[6, 9] ^= 1
    opened, authentic = bulk.open_beacons(keys, ids, counters, beacons, epochs)
    assert np.flatnonzero(~authentic).tolist() == [5, 6]
    assert (opened[authentic] == bodies[authentic]).all()
    assert not opened[~authentic].any()


def test_no_beacons_are_no_bodies() -> None:
    opened, authentic = bulk.open_beacons([], [], [], np.zeros((0, BEACON_BYTES), np.uint8))
    assert (opened.shape, authentic.shape) == ((0, 11), (0,))


@pytest.mark.parametrize(("text_bytes", "header_bytes", "mic_bytes"), [(11, 7, 6), (1, 1, 4), (16, 14, 16), (5, 0, 8)])
def test_bulk_ccm_opens_what_ccm_seals(text_bytes: int, header_bytes: int, mic_bytes: int) -> None:
    rng = np.random.default_rng(2)
    n = 30
    keys = [bytes([number % 3]) * 16 for number in range(n)]
    nonces, headers, texts = (
        rng.integers(0, 256, (n, size)).astype(np.uint8) for size in (13, header_bytes, text_bytes)
    )
    sealed = [
        AESCCM(key, mic_bytes).encrypt(nonce.tobytes(), text.tobytes(), header.tobytes())
        for key, nonce, text, header in zip(keys, nonces, texts, headers, strict=True)
    ]
    frames = np.frombuffer(b"".join(sealed), np.uint8).reshape(n, -1)
    opened, authentic = open_frames(group_by_key(keys), nonces, headers, frames, mic_bytes)
    assert authentic.all()
    assert (opened == texts).all()


def test_shapes_that_do_not_fit_are_the_callers_error() -> None:
    with pytest.raises(EncodeError):
        bulk.open_beacons([bytes(16)], [1], [1], np.zeros((1, BEACON_BYTES + 1), np.uint8))
