"""What a board's self test measured, against limits. Pure; `ontag/selftest.py` does the measuring.

The limits are wide: they find a missing, dead or miswired part, not a sensor that is off by a degree. That is what
calibration records are for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tagsmith.firmware_rules import default_of


class Limits(NamedTuple):
    """What a tag on a bench passes with. Both ends of a range are allowed."""

    temperature_mc: tuple[int, int] = (5_000, 45_000)  # a heated room, or a summer without
    humidity_mpct: tuple[int, int] = (5_000, 95_000)
    battery_mv: tuple[int, int] = (3_300, 4_300)  # a charged lithium cell, or its USB charger's 4.2 V
    gnss_sentences_min: int = 2
    flash_free_kb_min: int = 64
    memory_free_kb_min: int = 40
    gnss_s: int = 5  # a receiver sends once a second, and needs a moment after power comes


class Verdict(NamedTuple):
    """One part: whether it passed, what was measured, and where it did not pass, what to look at."""

    part: str
    passed: bool
    measured: str
    try_next: str = ""


PARTS = ("flash", "memory", "climate", "probe", "accelerometer", "battery", "gnss", "radio")
FITTED_BY_SETTING = ("climate", "probe", "accelerometer")  # the setting of that name says which one, or "none"


def fitted_by(settings: Mapping[str, int | bool | str]) -> dict[str, str]:
    """Which kind of each sensor a tag of these settings has; "none" where it has none."""
    return {part: str(settings.get(part, default_of(part))) for part in FITTED_BY_SETTING}


def parts_of(settings: Mapping[str, int | bool | str]) -> list[str]:
    """What a tag of these settings has, and has to report."""
    left_out = [part for part, kind in fitted_by(settings).items() if kind == "none"]
    return [part for part in PARTS if part not in left_out]


def judge(part: str, values: dict[str, Any], limits: Limits) -> Verdict:
    """The verdict on one line of the self test. Values that are missing or of another kind do not pass."""
    fault = values.get("fault")
    if fault is not None:
        return Verdict(part, False, str(fault), _LOOK_AT.get(part, "the firmware: flash it anew"))
    judged = _JUDGES.get(part)
    if judged is None:
        return Verdict(part, False, "not a part that is known", "the firmware: flash it anew")
    passed, measured = judged(values, limits)
    return Verdict(part, passed, measured, "" if passed else _LOOK_AT[part])


def missing(verdicts: Sequence[Verdict], parts: Sequence[str]) -> list[Verdict]:
    """A failed verdict for each of these parts that the board did not report."""
    reported = {verdict.part for verdict in verdicts}
    return [Verdict(part, False, "not reported", _LOOK_AT[part]) for part in parts if part not in reported]


def _within(value: object, limits: tuple[int, int]) -> bool:
    return type(value) is int and limits[0] <= value <= limits[1]


def _scaled(value: object, divisor: int, unit: str) -> str:
    return f"{value / divisor:.1f} {unit}" if type(value) is int else f"no {unit}"


def _flash(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    free_kb = values.get("free_kb")
    passed = type(free_kb) is int and free_kb >= limits.flash_free_kb_min and values.get("same") is True
    return passed, f"{free_kb} kB free" + ("" if values.get("same") is True else ", does not read back")


def _memory(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    free_kb = values.get("free_kb")
    return type(free_kb) is int and free_kb >= limits.memory_free_kb_min, f"{free_kb} kB free"


def _climate(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    temperature_mc, humidity_mpct = values.get("temperature_mc"), values.get("humidity_mpct")
    passed = _within(temperature_mc, limits.temperature_mc) and _within(humidity_mpct, limits.humidity_mpct)
    said = f"{_scaled(temperature_mc, 1000, '°C')}, {_scaled(humidity_mpct, 1000, '% RH')}"
    return passed, f"{values.get('kind')} {said}"


def _probe(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    temperature_mc = values.get("temperature_mc")
    passed = _within(temperature_mc, limits.temperature_mc)
    return passed, f"{values.get('kind')} {_scaled(temperature_mc, 1000, '°C')}"


def _accelerometer(values: dict[str, Any], _limits: Limits) -> tuple[bool, str]:
    answers = values.get("answers") is True
    return answers, f"{values.get('kind')} {'answers' if answers else 'silent'}"


def _battery(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    battery_mv = values.get("battery_mv")
    return _within(battery_mv, limits.battery_mv), f"{battery_mv} mV" if battery_mv is not None else "no voltage"


def _gnss(values: dict[str, Any], limits: Limits) -> tuple[bool, str]:
    sentences, rejected = values.get("sentences"), values.get("rejected")
    passed = type(sentences) is int and sentences >= limits.gnss_sentences_min
    measured = f"{sentences} sentences" + (f", {rejected} unreadable" if rejected else "")
    return passed, measured + (", fix" if values.get("fixes") else "")


def _radio(values: dict[str, Any], _limits: Limits) -> tuple[bool, str]:
    return values.get("advertised") is True, "advertises" if values.get("advertised") is True else "silent"


_JUDGES = {
    "flash": _flash,
    "memory": _memory,
    "climate": _climate,
    "probe": _probe,
    "accelerometer": _accelerometer,
    "battery": _battery,
    "gnss": _gnss,
    "radio": _radio,
}
_LOOK_AT = {
    "flash": "flash the board anew with its file system erased; if it stays, another board",
    "memory": "the MicroPython image: is it the one for this chip?",
    "climate": "the sensor's wires, its place in the sun or at a warm part, and whether it is the kind that is ordered "
    "(`--set climate=...`)",
    "probe": "the probe's wires and its pull-up or reference resistor, its place, and its kind (`--set probe=...`)",
    "accelerometer": "its four wires (3V3, GND, SDA, SCL), and its address pin to ground",
    "battery": "the battery, its switch, and the two resistors at the ADC pin",
    "gnss": "the receiver's power, and RX and TX, easily swapped; unreadable sentences mean another baud rate",
    "radio": "power (the radio draws 300 mA at its peak), then another board",
}
