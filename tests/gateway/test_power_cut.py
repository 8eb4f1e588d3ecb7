"""A power cut, not a kill: a spool on the disk of a virtual machine that ends in mid-sentence, page cache and all."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import qemu

GUEST = Path(__file__).with_name("guest_spool.py")
DISK_MB = 64
MOUNT = """
modprobe -d $MODULES virtio_blk
modprobe -d $MODULES ext4
mkdir -p /run/disk
mount -t ext4 /dev/vda /run/disk
export PYTHONDONTWRITEBYTECODE=1
"""


def machine(disk: Path, share: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Its standard output has what the program in it says, among what the kernel does."""
    share.mkdir(exist_ok=True)
    command = qemu.quoted([sys.executable, str(GUEST), *arguments])
    options = f"-drive file={disk},format=raw,if=virtio,cache=writeback"
    return qemu.start(f"{MOUNT}{command}\nsync", share, options)


def said(process: "subprocess.Popen[str]", word: str) -> list[str]:
    """The next line with that word in front, without it; empty at the end of the machine."""
    assert process.stdout is not None
    for line in process.stdout:
        words = line.split()
        if words[:1] == [word]:
            return words[1:]
    return []


def cut_after(disk: Path, share: Path, durability: str, commits: int) -> int:
    """The last counter that was promised to survive."""
    process = machine(disk, share, "write", "/run/disk/spool.db", durability)
    try:
        for _ in range(commits):
            promised = said(process, "committed")
            assert promised, "the machine has ended by itself"
    finally:
        qemu.end(process)
    return int(promised[0])


def left(disk: Path, share: Path) -> tuple[list[int], bool]:
    """(highest counter, samples, distinct ones, gaps) that the spool has, and whether the file is sound."""
    process = machine(disk, share, "read", "/run/disk/spool.db")
    try:
        found, sound = said(process, "found"), said(process, "sound")
        assert sound, "nothing could be read"
    finally:
        qemu.end(process)
    return [int(word) for word in found], sound == ["True"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if line := qemu.missing():
        pytest.skip(line)
    path = tmp_path / "disk.img"
    format_disk(path)
    return path


def format_disk(path: Path) -> None:
    """A new and empty one."""
    with path.open("wb") as image:
        image.truncate(DISK_MB << 20)
    program = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    assert program is not None
    subprocess.run([program, "-q", "-F", str(path)], check=True)


def power_goes(disk: Path, folder: Path, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(rounds):
        promised = cut_after(disk, folder / "share", "full", dice.randrange(3, 60))
        (highest, samples, distinct, gaps), sound = left(disk, folder / "share")
        assert highest >= promised, f"round {number}: promised and lost"
        assert (samples, distinct, gaps) == (highest, highest, 0)
        assert sound
        format_disk(disk)


@pytest.mark.system
@pytest.mark.timeout(600)
def test_power_cut_takes_nothing_that_was_committed(disk: Path, tmp_path: Path) -> None:
    power_goes(disk, tmp_path, 1, 1)


@pytest.mark.soak
def test_power_cut_again_and_again(disk: Path, tmp_path: Path) -> None:
    power_goes(disk, tmp_path, 10, 2)


@pytest.mark.soak
def test_power_cut_would_take_what_was_not_synced(disk: Path, tmp_path: Path) -> None:
    """Or the others would prove nothing: the same without fsync."""
    promised = cut_after(disk, tmp_path / "share", "off", 40)
    (highest, *_), _ = left(disk, tmp_path / "share")
    assert highest < promised
