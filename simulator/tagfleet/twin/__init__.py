"""Twins: the real firmware, unchanged, under the real MicroPython interpreter on a virtual board."""

from tagfleet.twin.fleet import TwinFleet
from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.spec import TwinSpec, World
from tagfleet.world.environment import Environment

__all__ = ["Environment", "TwinFleet", "TwinSpec", "World", "interpreter_available"]
