"""What the firmware takes and makes (boards, settings, records), read from its own files, which are the only list."""

import functools
import importlib.util
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tagsmith.manifest import tag_sources

NOTE_MAX = 32


class SettingRule(NamedTuple):
    """One setting that is a number: its name, which ends in its unit, and its limits, both allowed."""

    name: str
    default: int
    minimum: int
    maximum: int


@functools.cache
def firmware_module(path: str) -> Any:
    """A file of the firmware, imported here; one that imports no other file of the firmware."""
    specification = importlib.util.spec_from_file_location(
        path.removesuffix(".py").replace("/", "_"), tag_sources()[path]
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class SettingKinds(NamedTuple):
    """All settings that the firmware knows, by name. flags: true or false. choices: the words of each, its default
    first. notes: texts that are kept with the tag for people."""

    numbers: dict[str, SettingRule]
    flags: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


@functools.cache
def setting_kinds() -> SettingKinds:
    """What `tag/settings.py` lists."""
    module = firmware_module("tag/settings.py")
    numbers = {row[0]: SettingRule(*row) for row in module.TABLE}
    return SettingKinds(
        numbers, getattr(module, "FLAGS", ()), dict(getattr(module, "CHOICES", ())), getattr(module, "NOTES", ())
    )


@functools.cache
def board_names() -> list[str]:
    """The boards that the firmware has a file for, as a tag is provisioned with."""
    paths = [PurePosixPath(path) for path in tag_sources()]
    return sorted(
        path.stem.replace("_", "-") for path in paths if path.parts[:2] == ("tag", "boards") and path.stem != "__init__"
    )


def parse_setting(name: str, text: str) -> int | bool | str:
    """A setting's value. Raises ValueError with a sentence: not known, or not one of the values that it takes."""
    kinds = setting_kinds()
    if name in kinds.flags:
        if text not in ("true", "false"):
            raise ValueError(f"{name} is {text!r}, neither true nor false")
        return text == "true"
    if name in kinds.choices:
        if text not in kinds.choices[name]:
            raise ValueError(f"{name} is {text!r}, none of {', '.join(kinds.choices[name])}")
        return text
    if name in kinds.notes:
        if not 0 < len(text) <= NOTE_MAX or not text.isprintable():
            raise ValueError(f"{name} is {text!r}, not a text of 1 to {NOTE_MAX} characters")
        return text
    rule = kinds.numbers.get(name)
    if rule is None:
        known = [*kinds.numbers, *kinds.flags, *kinds.choices, *kinds.notes]
        raise ValueError(f"there is no setting {name}; known are {', '.join(known)}")
    try:
        value = int(text)
    except ValueError:
        value = rule.minimum - 1
    if not rule.minimum <= value <= rule.maximum:
        raise ValueError(f"{name} is {text!r}, not an integer within {rule.minimum} to {rule.maximum}")
    return value


def default_of(name: str) -> int | bool | str:
    """What a tag does where its settings do not say; an empty text for a note."""
    kinds = setting_kinds()
    if name in kinds.numbers:
        return kinds.numbers[name].default
    if name in kinds.flags:
        return False
    return kinds.choices[name][0] if name in kinds.choices else ""


def check_board(name: str) -> str:
    """The name itself. Raises ValueError with a sentence when the firmware has no such board."""
    if name not in board_names():
        raise ValueError(f"there is no board {name!r}; known are {', '.join(board_names())}")
    return name
