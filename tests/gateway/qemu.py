"""A virtual machine with Debian's kernel and this machine's files: virtme-ng under qemu, emulated.

Nothing is installed but packages: the kernel's is unpacked under build/linux, not installed. See .ci/run.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

INSTALL = (
    "apt-get install qemu-system-x86 busybox-static kmod e2fsprogs and, in build/linux, "
    "apt-get download linux-image-... (see .ci/run); pip install virtme-ng"
)
KERNELS = Path(__file__).resolve().parents[2] / "build" / "linux"
PROGRAMS = ("qemu-system-x86_64", "depmod", "busybox", "mkfs.ext4")
MEMORY = "1200M"

_SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> str:
    """The line that installs what is not there; empty when all of it is."""
    return "" if all(map(program, PROGRAMS)) and _virtme() and kernel() else INSTALL


def program(name: str) -> str | None:
    """Its path, also where a user's PATH does not look; None when it is not installed."""
    return shutil.which(name, path=_SYSTEM_PATH)


def kernel() -> Path | None:
    """The newest kernel image under build/linux, with its modules beside it."""
    images = sorted(KERNELS.glob("boot/vmlinuz-*"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
    return images[-1] if images else None


def _virtme() -> str | None:
    return shutil.which("virtme-run", path=f"{sysconfig.get_path('scripts')}:{_SYSTEM_PATH}")


def start(script: str, share: Path, options: str = "") -> subprocess.Popen[str]:
    """Run a shell script as root in a machine that sees this one's files, may write to the folder `share` alone, and
    has no network. Its standard output is the machine's console. `end` it.

    In the script, $MODULES is what modprobe -d needs. options: more of them for qemu, such as a disk.
    """
    image, virtme = kernel(), _virtme()
    assert image is not None
    assert virtme is not None
    (share / "script.sh").write_text(f"export MODULES={KERNELS}\n{script}\n")
    command = [
        *(sys.executable, virtme, "--kimg", str(image), "--mods", "auto", "--memory", MEMORY, "--cpus", "2"),
        *("--force-9p", "--disable-kvm", "--disable-microvm", f"--rwdir={share}"),
        *("--script-sh", f"sh {share}/script.sh"),
        *(["--qemu-opts", *options.split()] if options else []),
    ]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PATH": _SYSTEM_PATH},
        start_new_session=True,  # qemu is a child of it, and ends with its group
    )


def end(process: subprocess.Popen[str]) -> None:
    """At once, as when the power goes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def quoted(arguments: Sequence[str]) -> str:
    """As one shell command."""
    return " ".join("'" + argument.replace("'", "'\\''") + "'" for argument in arguments)
