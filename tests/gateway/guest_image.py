"""A file system with Python's library and some packages for a virtual machine.

One that reads them file by file from its host takes a minute for what it does in seconds. What is not in the image is
read there all the same.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_NOT_NEEDED = shutil.ignore_patterns(
    "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages", "config-*", "*.a"
)
USE = f"""
modprobe -d $MODULES ext4
modprobe -d $MODULES virtio_blk
mkdir -p /run/image
until mount -t ext4 -o ro,noload /dev/vda /run/image 2> /dev/null; do sleep 0.1; done
mount --bind /run/image/stdlib {sysconfig.get_path("stdlib")}
export PYTHONPATH=/run/image/packages PYTHONDONTWRITEBYTECODE=1
"""
"""The script that takes the image from the machine's first virtio disk."""


def make_image(path: Path, modules: Sequence[str], folder: Path) -> None:
    """With all that these modules import, where `folder` is the first place that Python looks for them."""
    code = f"import {', '.join(modules)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    stage = path.with_suffix(".folder")
    shutil.copytree(sysconfig.get_path("stdlib"), stage / "stdlib", symlinks=True, ignore=_NOT_NEEDED)
    site = Path(sysconfig.get_path("purelib"))
    for name in found.stdout.split():
        for part in [
            *site.glob(name),
            *site.glob(f"{name}.py"),
            *site.glob(f"{name}.*.so"),
            *site.glob(f"{name}.libs"),
        ]:
            target = stage / "packages" / part.name
            if part.is_dir():
                shutil.copytree(part, target, ignore=_NOT_NEEDED)
            else:
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(part, target)
    size_kb = sum(file.stat().st_size // 1024 + 8 for file in stage.rglob("*") if file.is_file())
    program = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert program is not None
    options = ["-q", "-O", "^has_journal", "-d", str(stage)]
    subprocess.run([program, *options, str(path), f"{size_kb * 5 // 4}k"], check=True, capture_output=True)
    shutil.rmtree(stage)
