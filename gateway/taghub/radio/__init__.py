"""Radios: where reports come from."""

from taghub.clock import Clock
from taghub.radio.air_radio import AirRadio
from taghub.radio.base import Radio
from taghub.radio.bleak_radio import BleakRadio
from taghub.settings import AirSettings, RadioSettings

__all__ = ["Radio", "make_radio"]


def make_radio(settings: RadioSettings, company_id: int, clock: Clock) -> Radio:
    """The radio that one [[radio]] section describes; nothing is opened yet."""
    if isinstance(settings, AirSettings):
        return AirRadio(settings, company_id, clock)
    return BleakRadio(settings, company_id, clock)
