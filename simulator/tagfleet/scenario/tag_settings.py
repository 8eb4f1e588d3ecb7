"""What flock tags may be provisioned with, by the firmware's own names and limits. Pure."""

from tagfleet.alarms import LIMIT_SETTINGS
from tagfleet.duty import DUTY_SETTINGS
from tagfleet.journals import WINDOW_SETTINGS
from tagsmith.firmware_rules import parse_setting

PRIVATE_IDS = "private_ids"
KNOWN = (PRIVATE_IDS, *DUTY_SETTINGS, *LIMIT_SETTINGS, *WINDOW_SETTINGS)


def problem(name: str, value: int | bool | str) -> str:
    """What is wrong with a setting; empty where nothing is."""
    if name not in KNOWN:
        return f"{name}: a flock tag knows {', '.join(KNOWN)}"
    try:
        parse_setting(name, repr(value) if isinstance(value, str) else str(value).lower())
    except ValueError as error:
        return str(error)
    return ""
