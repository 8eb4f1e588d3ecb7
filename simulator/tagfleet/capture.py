"""A capture of real air as a scenario: as many tags, as often, as loud."""

from pathlib import Path


class CaptureUnreadable(Exception):
    """No scenario can be made of a capture; the text says why."""


def scenario_of_capture(path: Path) -> str:
    """The text of a scenario. Raises CaptureUnreadable."""
    raise CaptureUnreadable(f"{path}: captures cannot be read yet")
