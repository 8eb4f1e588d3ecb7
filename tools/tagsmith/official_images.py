"""Official MicroPython builds that are known by their SHA-256."""

import json
from importlib import resources
from typing import NamedTuple


class OfficialImage(NamedTuple):
    """One build. url: where its maker offers it."""

    chip: str
    version: str
    file: str
    size_bytes: int
    sha256: str
    url: str


DOWNLOAD_PAGE = "https://micropython.org/download/ESP32_GENERIC_{}/"
DOWNLOAD_FOLDER = "https://micropython.org/resources/firmware/"


def official_images() -> tuple[OfficialImage, ...]:
    """All of them, per chip the newest first."""
    text = resources.files("tagsmith").joinpath("official_images.json").read_text()
    return tuple(
        OfficialImage(
            row["chip"], row["version"], row["file"], row["bytes"], row["sha256"], DOWNLOAD_FOLDER + row["file"]
        )
        for row in json.loads(text)["images"]
    )


def find_official(sha256: str) -> OfficialImage | None:
    """The build with this sum; None if it is not known."""
    return next((image for image in official_images() if image.sha256 == sha256), None)


def where_to_get(chip: str) -> str:
    """What to download for this chip: the newest build that is known, or where its maker offers some."""
    newest = next((image for image in official_images() if image.chip == chip), None)
    return newest.url if newest else DOWNLOAD_PAGE.format(chip.upper().removeprefix("ESP32"))
