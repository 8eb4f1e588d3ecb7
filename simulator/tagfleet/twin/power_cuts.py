"""Proves what a power cut costs a tag: the real firmware lives a scripted time, and at chosen flash operations a second
tag goes on from the flash as it was in that moment: before the operation, or torn in its middle.

Whatever the moment: it boots, makes samples under counters that were never used, and its journal holds every sample
made before but the last 8. What a hub had settled is settled or not, and nothing else is; a command that was answered
stays carried out. RTC memory is random then. A share of the second tags loses power again while it recovers.
"""

import random
import struct
from binascii import crc32
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tagfleet.twin.board import ops
from tagfleet.twin.counters import UnknownSeal, sealed_under
from tagfleet.twin.image import provisioned_image
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.virtual_board import SOFT_RESET
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.twin.visits import Order, VisitingHub
from tagsmith.image import read_image
from tagsmith.manifest import tag_files
from tagwire.command import REBOOT, REVOKE, ROTATE, SETTINGS, decode_memory
from tagwire.counter import generation_of, make_counter
from tagwire.keys import beacon_key
from tagwire.ranges import Ranges, difference
from tagwire.seal import aes128

LOST_MAX = 8
RECORD_BYTES = 16
BLOCK_BYTES = 4096
IMAGE_BYTES = 512 * 1024
TORN = (0.25, 0.75)  # the shares of an operation that are done when power fails within it
LONG_EVERY = 25  # so many points are followed until the journal has been written again
LONG_WAKES = 9
SHORT_WAKES = 1  # a wake is what takes the time: not one more than tells something
DOUBLE_EVERY = 3  # so many points lose power again within the first wakes
ROTATED = 4  # the command that ends the first generation of keys
OTHER_HUB = 99
OWNER_BYTES = 5  # in front of what the firmware keeps in its small files


def small_image(spec: TwinSpec) -> bytes:
    """A tag's flash without its application, which is frozen into the interpreter."""
    files = {name: content for name, content in tag_files().items() if "/" not in name}
    return provisioned_image(spec.provision, spec.first_counter, files)


def journal_counters(image: bytes) -> list[int]:
    """The counters of the intact records in a tag's journal, as SPEC and README of the firmware describe it."""
    return _counters_in(read_image(image))


def _counters_in(files: Mapping[str, bytes]) -> list[int]:
    counters = []
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        if not folder.startswith("journal-") or len(name) != 8:
            continue
        base = int(name, 16)
        for at in range(0, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
            record = content[at : at + RECORD_BYTES]
            if crc32(record[:15] + base.to_bytes(4, "little")) & 0xFF == record[15]:
                counters.append(base + (struct.unpack_from("<H", record, 13)[0] >> 5))
    return sorted(counters)


def scripted_orders(number: int) -> Order | None:
    """What the platform commands in the scripted time, one with each visit: all that a tag writes down for it."""
    if number == ROTATED:
        return ROTATE, b"\x01"
    if number % 12 == 5:
        return REBOOT, b""
    if number % 3 == 2:
        return REVOKE, OTHER_HUB.to_bytes(4, "little") + number.to_bytes(2, "little")
    return SETTINGS, b'{"flight_h": %d}' % (1 + number % 72)


def kept_faults(files: Mapping[str, bytes], settled: Ranges, commands: int) -> Iterator[str]:
    """What is wrong with the small files of a tag that was told that so much is settled, and which had answered so many
    commands."""
    for path, content in files.items():
        name = path.rpartition("/")[2]
        if name not in ("changes", "revoked", "settled") and not name.startswith("commands-"):
            continue
        if name.endswith(".new") or (name == "settled" and not content):  # the latter as it is created: nothing is yet
            continue
        if crc32(content[:-4]).to_bytes(4, "little") != content[-4:]:
            yield f"{path} is damaged: {content.hex()}"
        elif name == "settled":
            ranges = list(struct.iter_unpack("<II", content[4:-4]))
            if extra := difference(ranges, settled):
                yield f"{extra} are settled, which no hub has said"
    memories = [
        content for path, content in files.items() if path.startswith("commands-") and not path.endswith(".new")
    ]
    last = max((decode_memory(content[OWNER_BYTES:-4])[0] for content in memories), default=0)
    if not commands <= last <= commands + 1:
        yield f"command {last} is the last one, {commands} were answered"


def torn(before: bytes, after: bytes, block: int, share: float) -> bytes:
    """The flash when power failed in an operation on one block, after that share of the bytes that it changes."""
    start = block * BLOCK_BYTES
    old, new = before[start : start + BLOCK_BYTES], after[start : start + BLOCK_BYTES]
    changed = [i for i in range(BLOCK_BYTES) if old[i] != new[i]]
    if not changed:
        return after
    middle = changed[0] + int((changed[-1] + 1 - changed[0]) * share)
    return before[:start] + new[:middle] + old[middle:] + before[start + BLOCK_BYTES :]


class PowerCuts:
    """tried: how many points; a second cut is one of its own. failures: a line for each that went not as it must.

    counters: of the first tag's samples. hub: visits that tag in its windows, and what it writes then are points too;
    the second is alone.
    """

    def __init__(
        self, spec: TwinSpec, folder: Path, interpreter: str, seed: int = 1, hub: VisitingHub | None = None
    ) -> None:
        (folder / "first").mkdir(exist_ok=True)
        (folder / "second").mkdir(exist_ok=True)
        image = small_image(spec)
        self.tried = 0
        self._followed = 0
        self.failures: list[str] = []
        self._random = random.Random(seed)
        self._encrypts = [aes128(beacon_key(spec.provision.root_key, generation)) for generation in range(2)]
        self._hub = hub
        self._first = VirtualTwin(spec, folder / "first", interpreter, image=image, hub=hub)
        self._second = VirtualTwin(spec, folder / "second", interpreter, image=image)
        self.counters: list[int] = []
        self.operations = 0
        self._chosen: Callable[[int], bool] = lambda operation: False
        self._torn: tuple[int, int, bytes, dict[bytes, bytes]] | None = None

    def run(self, samples: int, chosen: Callable[[int], bool]) -> int:
        """Live so many samples and cut power at each flash operation, counted from 0, that is `chosen`; how many
        operations there were. Each gives three points: before it, and twice within it."""
        self._chosen = chosen
        with self._first, self._second:
            self._first.on_operation = self._on_operation
            while len(self._first.made) < samples:
                self._first.wake()
        return self.operations

    def _made(self) -> list[int]:
        for made in self._first.made[len(self.counters) :]:
            self.counters.append(self._counter(made.frame, self.counters[-1] if self.counters else -1))
        return self.counters

    def _counter(self, frame: bytes, last: int) -> int:
        """Under which counter it was sealed, of the last one's generation or the next."""
        generations = range(generation_of(max(last, 0)), len(self._encrypts))
        for generation in generations:
            try:
                near = max(last + 1, make_counter(generation, 0))
                return sealed_under(self._encrypts[generation], frame, near)
            except UnknownSeal:
                if generation == generations[-1]:
                    raise
        raise AssertionError

    def _on_operation(self, op: int, payload: bytes) -> None:
        if self._torn is not None:
            operation, block, before, nvs = self._torn
            self._torn = None
            after = self._first.flash.read_bytes()
            for share in TORN:
                self._check(f"after {share:.0%} of operation {operation}", torn(before, after, block, share), nvs)
        if op != ops.FLASH:
            return
        operation = self.operations
        self.operations += 1
        if self._chosen(operation):
            _, block, _ = struct.unpack("<BII", payload)
            image, nvs = self._first.flash.read_bytes(), dict(self._first.board.nvs)
            self._torn = operation, block, image, nvs
            self._check(f"before operation {operation}", image, nvs)

    def _wake_and_window(self) -> None:
        halt = self._second.wake()
        if halt is not None and halt.cause == SOFT_RESET:
            self._second.wake()

    def _check(self, moment: str, image: bytes, nvs: dict[bytes, bytes]) -> None:
        self.tried += 1
        try:
            for fault in self._faults(image, nvs):
                self.failures.append(f"power cut {moment}: {fault}")
        except UnknownSeal as error:
            self.failures.append(f"power cut {moment}: {error}")

    def _faults(self, image: bytes, nvs: dict[bytes, bytes]) -> Iterator[str]:
        before = list(self._made())
        second = self._second
        second.restart(image, nvs, self._first.now_s)
        second.board.power_on_memory = self._random.randbytes(self._random.choice((0, 100, 2048)))
        self._followed += 1
        wakes = LONG_WAKES if self._followed % LONG_EVERY == 0 else SHORT_WAKES
        again = self._followed % DOUBLE_EVERY == 0
        if again:  # within the first wake or two, which do some 20 durable operations
            second.supply.fail_at = second.supply.operations + self._random.randrange(25)
            second.supply.done = self._random.choice((0.0, 0.5, 1.0))
        for _ in range(wakes + 2):
            if again or len(second.made) < wakes:
                self._wake_and_window()
        if second.supply.fail_at is not None and second.supply.operations > second.supply.fail_at:
            self.tried += 1
        if second.crashes:
            yield f"the interpreter ended by itself ({second.exit_status}): {second.console()[-300:]}"
        if len(second.made) < wakes:
            yield f"{len(second.made)} samples in {wakes + 2} wakes: {second.console()[-300:]}"
        used: list[int] = []
        for made in second.made:
            used.append(self._counter(made.frame, (used or before or [-1])[-1]))
        if len(set(before + used)) < len(before) + len(used) or used != sorted(used):
            yield f"counters {used} after {before[-3:]}"
        files = read_image(second.flash.read_bytes())
        kept = set(_counters_in(files))
        if self._hub is not None:
            yield from kept_faults(files, self._hub.settled, max(self._hub.replied, default=0))
        missing = set(before[:-LOST_MAX]) - kept
        if missing:
            yield f"lost from the journal: {sorted(missing)[:10]}"
        if wakes == LONG_WAKES and second.supply.fail_at is None and not set(used[:LOST_MAX]) <= kept:
            yield f"new samples {used} are not in the journal"
