"""Twins: the real firmware, unchanged, under the real MicroPython interpreter on a virtual board.

`tagfleet.twin.fleet` puts them on a virtual Bluetooth link; it is imported by itself, as that stack takes time to load.
"""

from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.spec import TwinSpec, World
from tagfleet.world.environment import Environment

__all__ = ["Environment", "TwinSpec", "World", "interpreter_available"]
