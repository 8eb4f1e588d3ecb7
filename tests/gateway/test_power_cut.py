"""A power cut, not a kill: a spool on the disk of a virtual machine that ends in mid-sentence, page cache and all."""

import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import qemu
from initramfs import Initramfs

FOLDER = Path(__file__).parent
DISK_MB = 64
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
SCRIPT = """
mkdir -p /run/disk
mount -t ext4 /dev/vda /run/disk
{guest} "$@"
sync
"""


class Machine:
    """Boots on a disk, again and again."""

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "disk.img"
        self._image = folder / "initramfs"
        image = Initramfs()
        paths = [str(FOLDER), *(path for path in sys.path if path)]
        start = f"sys.path[:] = {paths}; import guest_spool"
        command = image.copy_python(start)
        code = f"import sys; {start}; guest_spool.main(*sys.argv[1:])"
        qemu.pack(image, self._image, MODULES, SCRIPT.format(guest=qemu.quoted([*command, "-c", code])))

    def format(self) -> None:
        """A new and empty disk."""
        with self.disk.open("wb") as image:
            image.truncate(DISK_MB << 20)
        program = qemu.program("mkfs.ext4")
        assert program is not None
        subprocess.run([program, "-q", "-F", str(self.disk)], check=True)

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[qemu.Machine]:
        """Its standard output has what the program in it says, among what the kernel does. It ends by a power cut."""
        drive = f"file={self.disk},format=raw,if=virtio,cache=writeback"
        machine = qemu.start(self._image, ["-drive", drive], arguments, "800M")
        try:
            yield machine
        finally:
            qemu.end(machine)


def said(machine: qemu.Machine, word: str) -> list[str]:
    """The next line with that word in front, without it."""
    assert machine.stdout is not None
    console: list[str] = []
    for line in machine.stdout:
        words = line.split()
        if words[:1] == [word]:
            return words[1:]
        console.append(line)
    raise AssertionError("the machine has ended by itself\n" + "".join(console))


def cut_after(machine: Machine, durability: str, commits: int) -> int:
    """The last counter that was promised to survive."""
    with machine.running("write", "/run/disk/spool.db", durability) as running:
        for _ in range(commits):
            (promised,) = said(running, "committed")
    return int(promised)


def left(machine: Machine) -> tuple[list[int], bool]:
    """(highest counter, samples, distinct ones, gaps) that the spool has, and whether the file is sound."""
    with machine.running("read", "/run/disk/spool.db") as running:
        found, sound = said(running, "found"), said(running, "sound")
    return [int(word) for word in found], sound == ["True"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if line := missing():
        pytest.skip(line)
    return Machine(tmp_path)


def missing() -> str:
    return qemu.missing() or ("" if qemu.program("mkfs.ext4") else "apt-get install e2fsprogs")


def power_goes(machine: Machine, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(rounds):
        machine.format()
        promised = cut_after(machine, "full", dice.randrange(3, 60))
        (highest, samples, distinct, gaps), sound = left(machine)
        assert highest >= promised, f"round {number}: promised and lost"
        assert (samples, distinct, gaps) == (highest, highest, 0)
        assert sound


@pytest.mark.system
@pytest.mark.timeout(600)
def test_power_cut_takes_nothing_that_was_committed(machine: Machine) -> None:
    power_goes(machine, 1, 1)


@pytest.mark.soak
def test_power_cut_again_and_again(machine: Machine) -> None:
    power_goes(machine, 10, 2)


@pytest.mark.soak
def test_power_cut_would_take_what_was_not_synced(machine: Machine) -> None:
    """Or the others would prove nothing: the same without fsync."""
    machine.format()
    promised = cut_after(machine, "off", 40)
    (highest, *_), _ = left(machine)
    assert highest < promised
