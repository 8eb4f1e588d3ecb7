"""Finds a MicroPython interpreter (unix port, 1.27 or later)."""

import os
import shutil
import sys
from pathlib import Path


def interpreter_available(path: str | None = None) -> str | None:
    """The interpreter's absolute path: the one given, or the `micropython` beside this Python, or the one in PATH; else
    None."""
    if path is not None:
        found = shutil.which(path)
    else:
        found = shutil.which(Path(sys.executable).with_name("micropython")) or shutil.which("micropython")
    return None if found is None else os.path.abspath(found)
