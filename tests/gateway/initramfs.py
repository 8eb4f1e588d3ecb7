"""The first and only file system of a virtual machine, in one file that the kernel unpacks into its memory.

Some programs of this machine, with what they need of it, under the paths that they have here: nothing is read from
outside while the machine runs, and it boots in the time that its kernel takes.
"""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_LIBRARY = re.compile(r"(/\S+) \(0x")
_MODULE = re.compile(r"\.ko(\.\w+)?$")


class Initramfs:
    """Put files into it, then `pack` it. linux/Documentation/driver-api/early-userspace/buffer-format.rst."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, int, bytes]] = {}  # path to mode, time, content

    def add(self, path: str, content: bytes, mode: int = 0o644, time_s: int = 0) -> None:
        """A file, and the folders above it."""
        self.add_folder(os.path.dirname(path))
        self._entries[path.strip("/")] = (stat.S_IFREG | mode, time_s, content)

    def add_folder(self, path: str) -> None:
        parts = path.strip("/").split("/")
        for end in range(1, len(parts) + 1):
            self._entries.setdefault("/".join(parts[:end]), (stat.S_IFDIR | 0o755, 0, b""))

    def copy(self, path: str | Path) -> None:
        """A file of this machine, whatever links lead to it."""
        status = os.stat(path)
        self.add(str(path), Path(path).read_bytes(), stat.S_IMODE(status.st_mode), int(status.st_mtime))

    def copy_program(self, path: str | Path) -> None:
        """With the libraries that it is linked to."""
        self.copy(path)
        linked = subprocess.run(["ldd", str(path)], capture_output=True, text=True)  # fails for a static one
        for library in _LIBRARY.findall(linked.stdout):
            self.copy(library)

    def copy_python(self, code: str) -> list[str]:
        """This interpreter, and all that `code` imports, in which `sys` is there: the command that runs it, without
        its options."""
        listing = "; print(*(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)), sep='\\n')"
        python = os.path.realpath(sys.executable)
        command = [python, "-I", "-S"]
        found = subprocess.run(
            [*command, "-c", f"import sys; {code}{listing}"], check=True, capture_output=True, text=True
        )
        self.copy_program(python)
        for name in {path for path in found.stdout.splitlines() if os.path.isfile(path)}:
            if name.endswith(".so"):
                self.copy_program(name)
            else:
                self.copy(name)
                self._copy_bytecode(name)
        return command

    def _copy_bytecode(self, source: str) -> None:
        """Where it was compiled here: an emulated processor takes its time for that."""
        folder, name = os.path.split(source)
        compiled = f"{folder}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
        if os.path.isfile(compiled):
            self.copy(compiled)

    def copy_modules(self, root: Path, names: Iterable[str]) -> list[str]:
        """Modules of the kernel that was unpacked to `root`, after those that they need: their paths, in that order."""
        (listing,) = (root / "lib" / "modules").glob("*/modules.dep")
        needs = {path: rest.split() for path, _, rest in (line.partition(":") for line in listing.open())}
        by_name = {_MODULE.sub("", path.rpartition("/")[2]): path for path in needs}
        loaded: list[str] = []
        for name in names:
            path = by_name[name]
            loaded += [part for part in (*reversed(needs[path]), path) if part not in loaded]
        paths = [str(listing.parent / path) for path in loaded]
        for path in paths:
            self.copy(path)
        return paths

    def pack(self, path: Path) -> None:
        """Write it: a cpio archive of the kind "newc"."""
        with path.open("wb") as file:
            entries = [*self._entries.items(), ("TRAILER!!!", (0, 0, b""))]
            for number, (name, (mode, time_s, content)) in enumerate(entries, 1):
                links = 2 if stat.S_ISDIR(mode) else 1
                fields = number, mode, 0, 0, links, time_s, len(content), 0, 0, 0, 0, len(name.encode()) + 1, 0
                head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
                file.write(head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4))
