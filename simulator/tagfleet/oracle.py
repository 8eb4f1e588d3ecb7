"""The nonce oracle: one key and nonce seal at most one (associated data, plaintext). Pure.

CCM breaks when a nonce is used twice: two ciphertexts XOR to the XOR of their plaintexts. Whoever seals in a test or in
the virtual air shows each frame to an oracle first. It looks at (associated data, sealed bytes), which is the same
thing: under one key and nonce the sealed bytes are equal exactly when the plaintexts are.
"""

import hashlib
from collections import OrderedDict

from tagwire.beacon import HEADER_BYTES, beacon_nonce


class NonceReuse(Exception):
    """Two different frames under one key and nonce."""


class NonceOracle:
    """Remembers the last `max_nonces` (key, nonce) pairs; 32 bytes of digests each. The oldest is forgotten first."""

    def __init__(self, max_nonces: int = 1_000_000) -> None:
        self.checked = 0  # frames, repeats included
        self.forgotten = 0  # pairs that no longer are remembered
        self._max_nonces = max_nonces
        self._seen: OrderedDict[bytes, bytes] = OrderedDict()

    def check(self, key: bytes, nonce: bytes, associated: bytes, sealed: bytes) -> None:
        """Take note of a frame. Raises NonceReuse when another one was sealed under the same key and nonce."""
        self.checked += 1
        use = hashlib.blake2s(key + nonce, digest_size=16).digest()
        frame = hashlib.blake2s(len(associated).to_bytes(4, "little") + associated + sealed, digest_size=16).digest()
        if self._seen.setdefault(use, frame) != frame:
            raise NonceReuse(f"nonce {nonce.hex()} seals a second frame: {associated.hex()} {sealed.hex()}")
        if len(self._seen) > self._max_nonces:
            self._seen.popitem(last=False)
            self.forgotten += 1

    def check_beacon(self, key: bytes, tag_id: int, counter: int, beacon: bytes, epoch: int = 0) -> None:
        """`check` for a beacon under K_beacon `key`; `epoch` is that of its private name."""
        self.check(key, beacon_nonce(beacon[0], tag_id, counter, epoch), beacon[:HEADER_BYTES], beacon[HEADER_BYTES:])
