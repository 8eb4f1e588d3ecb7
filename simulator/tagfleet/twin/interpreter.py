"""Finds a MicroPython interpreter (unix port, 1.27 or later)."""

import shutil
import sys
from pathlib import Path


def interpreter_available(path: str | None = None) -> str | None:
    """The interpreter's path: the one given, or the `micropython` beside this Python, or the one in PATH; else None."""
    if path is not None:
        return shutil.which(path)
    beside = Path(sys.executable).with_name("micropython")
    return shutil.which(beside) or shutil.which("micropython")
