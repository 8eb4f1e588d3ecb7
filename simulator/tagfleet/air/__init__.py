"""Virtual radio: which advertisement reaches which hub, when and how loud. Pure; numpy."""

from tagfleet.air.air import Air
from tagfleet.air.heard import Heard
from tagfleet.air.settings import AirSettings

__all__ = ["Air", "AirSettings", "Heard"]
