"""Radios: where reports come from."""

from collections.abc import Iterable

from taghub.clock import Clock
from taghub.heard import Advertisement
from taghub.radio.air_radio import AirRadio
from taghub.radio.base import Radio
from taghub.radio.bleak_radio import BleakRadio
from taghub.radio.keeper import keep
from taghub.radio.replay_radio import ReplayRadio
from taghub.settings import AirSettings, RadioSettings, ReplaySettings

__all__ = ["Advertisement", "Radio", "keep", "make_radio", "make_radios"]


def make_radios(settings: Iterable[RadioSettings], company_id: int, clock: Clock) -> list[Radio]:
    """A radio for each [[radio]] section, none of which takes another's adapter; nothing is opened yet."""
    taken: set[str] = set()
    return [make_radio(section, company_id, clock, taken) for section in settings]


def make_radio(settings: RadioSettings, company_id: int, clock: Clock, taken: set[str] | None = None) -> Radio:
    """The radio that one [[radio]] section describes. taken: addresses of adapters in use, shared among radios."""
    if isinstance(settings, AirSettings):
        return AirRadio(settings, company_id, clock)
    if isinstance(settings, ReplaySettings):
        return ReplayRadio(settings, company_id, clock)
    return BleakRadio(settings, company_id, clock, taken)
