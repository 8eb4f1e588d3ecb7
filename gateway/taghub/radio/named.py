"""Radios as people name them on a command line."""

import re
from typing import Any

from pydantic import ValidationError

from taghub.clock import Clock, SystemClock
from taghub.radio import Radio, make_radio
from taghub.settings import AirSettings, BleakSettings, BumbleSettings, RadioSettings

EXAMPLES = "bleak, hci1, bleak:hci1, bumble:usb:0, air:127.0.0.1:7700"


def radio_named(text: str, company_id: int, clock: Clock | None = None, passive: bool = False) -> Radio:
    """The radio that is meant: "bleak", "hci1", "bleak:hci1", "bumble:usb:0", "air:127.0.0.1:7700". Raises ValueError.

    passive: scan without asking the senders for anything."""
    return make_radio(settings_named(text, passive), company_id, clock or SystemClock())


def settings_named(text: str, passive: bool = False) -> RadioSettings:
    """As a [[radio]] section has them. Raises ValueError."""
    try:
        return _settings(text, "passive" if passive else "active")
    except (ValidationError, KeyError):
        raise ValueError(f"{text!r} is none of {EXAMPLES}") from None


def _settings(text: str, scan: str) -> RadioSettings:
    kind, _, place = text.partition(":")
    if re.fullmatch(r"hci\d+", text) or re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        kind, place = "bleak", text
    values: dict[str, Any] = {"kind": kind, "scan": scan}
    if kind == "bleak":
        return BleakSettings.model_validate({**values, "adapter": place or None})
    if kind == "bumble":
        return BumbleSettings.model_validate({**values, "transport": place})
    if kind == "air":
        return AirSettings.model_validate({"kind": kind, "listen": place})
    raise KeyError(kind)
