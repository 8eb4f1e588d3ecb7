"""The home of each tag's replay state: which key opens it, and the counter it must be above. Pure.

The state lives in memory in this edition. `Tag.epoch`, `Tag.last` and `Tag.last_frame` are what a durable spool
will commit together with the batch that moved them.
"""

from collections.abc import Callable, Iterable, Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from tagwire.beacon import MIC_BYTES
from tagwire.counter import SEQUENCE_MAX, generation_of, make_counter
from tagwire.keyring import KeyringEntry

CACHED_CIPHERS_MAX = 10_000  # an AESCCM object takes about 500 bytes; above this, it is made anew for each frame

_NEVER_US = 1 << 63


class Epoch:
    """One generation of a tag: what opens its frames, and its counters from `first` to `final`."""

    __slots__ = ("_key", "decrypt", "final", "first")

    decrypt: Callable[[bytes, bytes, bytes], bytes]
    """(nonce, sealed, associated data) to the plaintext; raises cryptography.exceptions.InvalidTag."""

    def __init__(self, generation: int, key: bytes, keep_cipher: bool) -> None:
        self._key = key
        self.decrypt = AESCCM(key, MIC_BYTES).decrypt if keep_cipher else self._decrypt_once
        self.first = make_counter(generation, 0)
        self.final = make_counter(generation, SEQUENCE_MAX)

    def _decrypt_once(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        return AESCCM(self._key, MIC_BYTES).decrypt(nonce, sealed, associated)


class Tag:
    """What a hub knows of one tag. Beacons only move forward: `last` never falls."""

    __slots__ = ("epoch", "expires_us", "last", "last_frame", "newer", "tag_id")

    def __init__(self, entry: KeyringEntry, keep_cipher: bool) -> None:
        self.tag_id = entry.tag_id
        self.expires_us = _NEVER_US if entry.expires_s is None else entry.expires_s * 1_000_000
        self.epoch = Epoch(entry.generation, entry.beacon_key, keep_cipher)
        self.newer: Epoch | None = None
        """The keyring's generation, while the tag may still be in the one before."""
        self.last = self.epoch.first - 1
        """The counter that the next beacon must be above."""
        self.last_frame = b""
        """The last accepted frame, empty before the first: its repeats are known without opening them."""
        if entry.last_counter is not None and generation_of(entry.last_counter) >= entry.generation:
            self.last = entry.last_counter
        elif entry.previous_generation is not None and entry.previous_beacon_key is not None:
            self.newer = self.epoch
            self.epoch = Epoch(entry.previous_generation, entry.previous_beacon_key, keep_cipher)
            self.last = max(self.epoch.first - 1, -1 if entry.last_counter is None else entry.last_counter)

    def enter_newer(self) -> None:
        """The tag was heard in the keyring's generation: the one before is over."""
        if self.newer is not None:
            self.epoch, self.newer = self.newer, None


class Registry:
    """All tags of a keyring, by the four bytes that a beacon names them with."""

    def __init__(self, keyring: Mapping[int, KeyringEntry] | Iterable[KeyringEntry]) -> None:
        entries = list(keyring.values() if isinstance(keyring, Mapping) else keyring)
        keep_ciphers = len(entries) <= CACHED_CIPHERS_MAX
        self.tags: dict[bytes, Tag] = {
            entry.tag_id.to_bytes(4, "little"): Tag(entry, keep_ciphers) for entry in entries
        }

    @property
    def heard_count(self) -> int:
        """How many tags were accepted at least once."""
        return sum(tag.last_frame != b"" for tag in self.tags.values())
