"""AES-CCM of many short frames under few keys, with numpy around whole runs of AES blocks. Host only.

Where a key has many frames, what costs is not AES but a call per frame. CCM (NIST SP 800-38C; RFC 3610) is a chain of
three blocks per frame for the MIC and two for the key stream; across frames the blocks do not depend on each other, so
each step of the chain is one ECB call per key.
"""

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

Bytes2D = NDArray[np.uint8]
BLOCK_BYTES = 16
NONCE_BYTES = 13
FRAMES_PER_KEY_MIN = 4  # below, three calls and a cipher per key cost more than a call per frame


def group_by_key(keys: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.intp], NDArray[np.intp]]:
    """The different keys, the order that puts the rows of each together, and where each one's rows end in it."""
    numbers: dict[bytes, int] = {}
    rows = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int32, len(keys))
    order = np.argsort(rows, kind="stable")
    return list(numbers), order, np.cumsum(np.bincount(rows, minlength=len(numbers)))


def open_frames(
    groups: tuple[list[bytes], NDArray[np.intp], NDArray[np.intp]],
    nonces: Bytes2D,
    headers: Bytes2D,
    sealed: Bytes2D,
    mic_bytes: int,
) -> tuple[Bytes2D, NDArray[np.bool_]]:
    """The plaintexts of n frames, and which of them are authentic; the plaintext of one that is not is zeros.

    groups: of the rows' keys, from `group_by_key`. nonces: n rows of 13 bytes (L = 2). headers: associated data of up
    to 14 bytes. sealed: up to 16 bytes of ciphertext, then the MIC.
    """
    keys, order, ends = groups
    n, text_bytes, header_bytes = len(order), sealed.shape[1] - mic_bytes, headers.shape[1]
    first = np.zeros((n, 3, BLOCK_BYTES), np.uint8)  # key stream for the MIC, for the text; begin of the MIC's chain
    first[:, :, 1 : 1 + NONCE_BYTES] = nonces[order][:, None, :]
    first[:, :2, 0] = 1  # L - 1
    first[:, 1, -1] = 1
    first[:, 2, 0] = (0x40 if header_bytes else 0) | (mic_bytes - 2) // 2 << 3 | 1
    first[:, 2, -1] = text_bytes
    ciphers = [Cipher(AES(key), ECB()).encryptor() for key in keys]
    streams = _encrypt(ciphers, ends, first)
    text = sealed[order]
    plain = text[:, :text_bytes] ^ streams[:, 1, :text_bytes]
    chain = streams[:, 2].copy()
    if header_bytes:
        chain[:, 1] ^= header_bytes
        chain[:, 2 : 2 + header_bytes] ^= headers[order]
        chain = _encrypt(ciphers, ends, chain)
    chain[:, :text_bytes] ^= plain
    chain = _encrypt(ciphers, ends, chain)
    mic = chain[:, :mic_bytes] ^ streams[:, 0, :mic_bytes]
    fits = (mic == text[:, text_bytes:]).all(1)
    plain[~fits] = 0
    opened, authentic = np.empty_like(plain), np.empty(n, np.bool_)
    opened[order], authentic[order] = plain, fits
    return opened, authentic


def _encrypt(ciphers: list[CipherContext], ends: NDArray[np.intp], blocks: Bytes2D) -> Bytes2D:
    """Each key's rows of blocks under that key."""
    data = memoryview(blocks.tobytes())
    row_bytes = len(data) // max(len(blocks), 1)
    out, start = [], 0
    for cipher, end in zip(ciphers, (ends * row_bytes).tolist(), strict=True):
        out.append(cipher.update(data[start:end]))
        start = end
    return np.frombuffer(bytearray().join(out), np.uint8).reshape(blocks.shape)
