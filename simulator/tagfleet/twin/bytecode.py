"""Modules as bytecode in a folder of this machine: an interpreter that compiles them in each wake takes longer for it
than for its work."""

import atexit
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tagsmith.compile import compile_files
from tagsmith.errors import ToolError

BOARD_FOLDER = Path(__file__).with_name("board")


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tagfleet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def compiled(sources: Mapping[str, bytes]) -> Path:
    """A folder with these modules as bytecode, the same one for the same sources; source where there is no compiler."""
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in sorted(sources.items()))).hexdigest()
    folder = _folder() / digest[:16]
    if not folder.exists():
        try:
            files = compile_files(sources)
        except ToolError:
            files = dict(sources)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


@functools.cache
def board_modules() -> Path:
    """The folder with the modules of a virtual board, `start` among them."""
    return compiled({path.name: path.read_bytes() for path in BOARD_FOLDER.glob("*.py") if path.name != "__init__.py"})
