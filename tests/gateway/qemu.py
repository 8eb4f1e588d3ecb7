"""Virtual machines with Debian's kernel and programs of this machine, under qemu, which emulates the processor.

KVM is not needed. Nothing is installed but packages: the kernel's is unpacked under build/linux, not installed.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from initramfs import Initramfs

INSTALL = (
    "apt-get install qemu-system-x86 busybox-static kmod and, in build/linux, "
    "apt-get download linux-image-... (see .ci/run)"
)
KERNELS = Path(__file__).resolve().parents[2] / "build" / "linux"

Machine = subprocess.Popen[str]

_SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_QEMU = "qemu-system-x86_64"
_INIT = """#!/bin/busybox sh
export PATH=/bin HOME=/run
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod $module; done
{script}
poweroff -f
"""
# A panic ends the machine, since it may not reboot.
_KERNEL_ARGUMENTS = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"


def missing() -> str:
    """The line that installs what is not there; empty when all of it is."""
    return "" if program(_QEMU) and program("busybox") and kernel() else INSTALL


def program(name: str) -> str | None:
    """Its path, also where a user's PATH does not look; None when it is not installed."""
    return shutil.which(name, path=_SYSTEM_PATH)


def kernel() -> Path | None:
    """The newest kernel image under build/linux, with its modules beside it."""
    images = sorted(KERNELS.glob("boot/vmlinuz-*"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
    return images[-1] if images else None


def pack(image: Initramfs, path: Path, modules: Sequence[str], script: str) -> None:
    """Write an image that boots: it loads these modules of the kernel, runs the script as root, and ends.

    The script has busybox's commands, and as "$@" what `start` is given. The machine's clock is right.
    """
    busybox = program("busybox")
    assert busybox is not None
    image.add("/bin/busybox", Path(busybox).read_bytes(), 0o755)
    for folder in ("/proc", "/sys", "/dev", "/tmp", "/run"):
        image.add_folder(folder)
    loaded = image.copy_modules(KERNELS, modules)
    image.add("/init", _INIT.format(modules=" ".join(loaded), script=script).encode(), 0o755)
    image.pack(path)


def start(image: Path, options: Sequence[str] = (), arguments: Sequence[str] = (), memory: str = "400M") -> Machine:
    """Boot an image; options: more of them for qemu, such as a disk. Its standard output is the machine's console."""
    command = [
        *(program(_QEMU) or _QEMU, "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", memory),
        *("-kernel", str(kernel()), "-initrd", str(image)),
        *("-append", f"{_KERNEL_ARGUMENTS} -- {' '.join(arguments)}", *options),
    ]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def end(machine: Machine) -> None:
    """At once, as when the power goes."""
    machine.kill()
    machine.wait()


def quoted(arguments: Sequence[str]) -> str:
    """As one shell command."""
    return " ".join("'" + argument.replace("'", "'\\''") + "'" for argument in arguments)
