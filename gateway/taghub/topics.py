"""MQTT topics of a hub, version 1. Pure."""

from typing import NamedTuple


class Topics(NamedTuple):
    """Where a hub publishes."""

    samples: str
    backlog: str
    events: str
    status: str
    command: str
    """What it listens to."""
    reply: str
    presence: str


def topics(site: str, hub: str) -> Topics:
    """The topics of one hub."""
    root = f"tags/v1/{site}/{hub}"
    return Topics(
        f"{root}/samples",
        f"{root}/backlog",
        f"{root}/events",
        f"{root}/status",
        f"{root}/command",
        f"{root}/reply",
        f"{root}/presence",
    )
