"""Makes the firmware's own files importable here: its pure part runs under CPython as well as on a tag."""

import sys
from collections.abc import Callable

import pytest

from tagsmith.manifest import firmware_folder

sys.path.insert(0, str(firmware_folder()))


@pytest.fixture
def micropython(micropython: Callable[..., str]) -> Callable[..., str]:
    """MicroPython with the heap of a tag."""
    return lambda *arguments: micropython("-X", "heapsize=160k", *arguments)
