"""What the firmware takes and makes (boards, settings, records), read from its own files, which are the only list."""

import functools
import importlib.util
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tagsmith.manifest import tag_sources


class SettingRule(NamedTuple):
    """One setting: its name, which ends in its unit, and its limits, both allowed."""

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


@functools.cache
def setting_rules() -> dict[str, SettingRule]:
    """Each setting that the firmware knows, by name."""
    return {row[0]: SettingRule(*row) for row in firmware_module("tag/settings.py").TABLE}


@functools.cache
def board_names() -> list[str]:
    """The boards that the firmware has a file for, as a tag is provisioned with."""
    paths = [PurePosixPath(path) for path in tag_sources()]
    return sorted(
        path.stem.replace("_", "-") for path in paths if path.parts[:2] == ("tag", "boards") and path.stem != "__init__"
    )


def parse_setting(name: str, text: str) -> int:
    """A setting's value. Raises ValueError with a sentence: not known, no integer, or not within its limits."""
    rule = setting_rules().get(name)
    if rule is None:
        raise ValueError(f"there is no setting {name}; known are {', '.join(setting_rules())}")
    try:
        value = int(text)
    except ValueError:
        value = rule.minimum - 1
    if not rule.minimum <= value <= rule.maximum:
        raise ValueError(f"{name} is {text!r}, not an integer within {rule.minimum} to {rule.maximum}")
    return value


def check_board(name: str) -> str:
    """The name itself. Raises ValueError with a sentence when the firmware has no such board."""
    if name not in board_names():
        raise ValueError(f"there is no board {name!r}; known are {', '.join(board_names())}")
    return name
