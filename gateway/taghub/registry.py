"""The home of each tag's replay state: which keys open it, and the counter it must be above. Pure.

What has to be durable is a TagState per tag and the last epoch that was certain; `snapshot` and `restore` carry them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from tagwire.beacon import MIC_BYTES
from tagwire.counter import SEQUENCE_MAX, make_counter
from tagwire.keyring import KeyringEntry

CACHED_CIPHERS_MAX = 10_000  # an AESCCM object takes about 500 bytes; above this, it is made anew for each frame

_NEVER_US = (1 << 63) - 1


class TagState(NamedTuple):
    """What must survive a restart: no beacon up to `last` is ever accepted again. heard: whether one ever was."""

    tag_id: int
    last: int
    heard: bool


class Generation:
    """One generation of a tag: what opens its frames, what names them, and its counters from `first` to `final`."""

    __slots__ = ("_key", "decrypt", "final", "first", "id_key")

    decrypt: Callable[[bytes, bytes, bytes], bytes]
    """(nonce, sealed, associated data) to the plaintext; raises cryptography.exceptions.InvalidTag."""

    def __init__(self, number: int, key: bytes, id_key: bytes | None, keep_cipher: bool) -> None:
        self._key = key
        self.id_key = id_key
        self.decrypt = AESCCM(key, MIC_BYTES).decrypt if keep_cipher else self._decrypt_once
        self.first = make_counter(number, 0)
        self.final = make_counter(number, SEQUENCE_MAX)

    def _decrypt_once(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        return AESCCM(self._key, MIC_BYTES).decrypt(nonce, sealed, associated)


class Tag:
    """What a hub knows of one tag. Beacons only move forward: `last` never falls."""

    __slots__ = (
        "expires_us",
        "generation",
        "heard",
        "id_bytes",
        "last",
        "last_frame",
        "limit_us",
        "newer",
        "previous_expires_us",
        "tag_id",
    )

    def __init__(self, entry: KeyringEntry, keep_cipher: bool) -> None:
        self.tag_id = entry.tag_id
        self.id_bytes = entry.tag_id.to_bytes(4, "little")
        self.expires_us = _us(entry.expires_s)
        self.previous_expires_us = _us(entry.previous_expires_s)
        self.generation = Generation(entry.generation, entry.beacon_key, entry.id_key, keep_cipher)
        self.newer: Generation | None = None
        """The keyring's generation, while the tag may still be in the one before, which is `generation` then."""
        self.last = self.generation.first - 1
        """The counter that the next beacon must be above."""
        self.last_frame = b""
        """The last accepted frame: its repeats are known without opening them."""
        self.heard = False
        """Whether a beacon of this tag was ever accepted here."""
        self.limit_us = self.expires_us
        """From when on a beacon needs a closer look at what has expired."""
        if entry.previous_generation is not None and entry.previous_beacon_key is not None:
            self.newer = self.generation
            self.limit_us = min(self.expires_us, self.previous_expires_us)
            previous = entry.previous_generation, entry.previous_beacon_key, entry.previous_id_key
            self.generation = Generation(*previous, keep_cipher)
            self.last = self.generation.first - 1
        if entry.last_counter is not None:
            self.advance(entry.last_counter)

    def advance(self, counter: int) -> None:
        """Nothing up to `counter` is taken any more. A counter of the newer generation ends the one before."""
        self.last = max(self.last, counter)
        if self.newer is not None and self.last >= self.newer.first:
            self.generation, self.newer = self.newer, None
            self.limit_us = self.expires_us

    def open_generations(self, now_us: int) -> list[Generation]:
        """The generations that a beacon heard now may be of."""
        if now_us >= self.expires_us:
            return []
        if self.newer is None:
            return [self.generation]
        return [self.newer] if now_us >= self.previous_expires_us else [self.generation, self.newer]


def _us(time_s: int | None) -> int:
    return _NEVER_US if time_s is None else time_s * 1_000_000


Keyring = Mapping[int, KeyringEntry] | Iterable[KeyringEntry]


class Registry:
    """All tags of a keyring, by the four bytes that a beacon with a public id names them with."""

    def __init__(self, keyring: Keyring) -> None:
        self.tags: dict[bytes, Tag] = {}
        self.identities: list[tuple[Tag, Generation]] = []
        """Tags with private ids, once for each generation that has them; in the order of `id_keys`."""
        self._absent: dict[int, TagState] = {}
        """Of tags that are in no keyring now: one that comes back goes on where it was."""
        self.replace(keyring)

    @property
    def id_keys(self) -> list[bytes]:
        """K_id of each of `identities`."""
        return [generation.id_key or b"" for _, generation in self.identities]

    def replace(self, keyring: Keyring) -> None:
        """Take another keyring. What was accepted so far stays accepted: no state falls, whatever the keyring says."""
        states = self.snapshot()
        entries = list(keyring.values() if isinstance(keyring, Mapping) else keyring)
        keep_ciphers = len(entries) <= CACHED_CIPHERS_MAX
        frames = {tag.tag_id: tag.last_frame for tag in self.tags.values()}
        tags = [Tag(entry, keep_ciphers) for entry in entries]
        for tag in tags:
            tag.last_frame = frames.get(tag.tag_id, b"")
        self.tags = {tag.id_bytes: tag for tag in tags}
        self._absent = {}
        self.identities = [
            (tag, generation)
            for tag in tags
            for generation in (tag.generation, tag.newer)
            if generation is not None and generation.id_key is not None
        ]
        self.restore(states)

    def snapshot(self) -> list[TagState]:
        """The state of every tag that was ever accepted, also of those that the keyring does not hold any more."""
        states = [TagState(tag.tag_id, tag.last, True) for tag in self.tags.values() if tag.heard]
        return states + list(self._absent.values())

    def restore(self, states: Iterable[TagState]) -> None:
        """Merge what was known before: the larger counter of each tag stays, in whatever order states come."""
        for state in states:
            tag = self.tags.get(state.tag_id.to_bytes(4, "little"))
            if tag is not None:
                tag.advance(state.last)
                tag.heard |= state.heard
            elif (known := self._absent.get(state.tag_id)) is None or known.last < state.last:
                self._absent[state.tag_id] = state

    @property
    def heard_count(self) -> int:
        """How many tags were accepted at least once."""
        return sum(tag.heard for tag in self.tags.values())
