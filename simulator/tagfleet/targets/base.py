"""The seam between a run and its hubs, wherever they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from tagfleet.traffic import Step
from taghub.closed_batch import sample_keys
from taghub.spool import Limits, Store, StoreError


class TargetFailed(Exception):
    """A hub or worker has ended by itself, or cannot start; the text says which and why."""


@dataclass
class HubFigures:
    """What is known of all hubs together. cpu_s: of all of them, since they started. undelivered: closed batches that
    wait for the broker; connections: ever opened to it, where that is counted. dropped: samples, by hub and reason."""

    hubs: int = 0
    connected: int = 0
    running: int = 0
    undelivered: int = 0
    open_samples: int = 0
    connections: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
    dropped: dict[int, dict[str, int]] = field(default_factory=dict)


class Left(NamedTuple):
    """Samples in the spool of a hub that has ended: as (tag id, counter)."""

    hub: int
    samples: list[tuple[int, int]]


class Target(Protocol):
    """Enter it, wait until it is `ready`, send it steps; `end` it, and see what is `left`. Hubs count from 0."""

    traced: bool
    """Whether hubs tell what they do with each sample."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def ready(self) -> None:
        """Every hub listens. Raises TargetFailed."""

    async def send(self, t_us: int, step: Step) -> float:
        """What hubs get up to `t_us` of the run's own time. Returns for how many seconds they took nothing in. Raises
        TargetFailed."""

    async def cut(self, hubs: Sequence[int], silent: bool) -> None:
        """Take the links of hubs to the broker away."""

    async def join(self, hubs: Sequence[int]) -> None:
        """Give them back."""

    async def crash(self, hubs: Sequence[int]) -> None:
        """Power off."""

    async def start(self, hubs: Sequence[int]) -> None:
        """Power on."""

    async def set_clock(self, hubs: Sequence[int], skew_us: int) -> None:
        """Hubs' clocks are wrong by so much from now on."""

    async def flush(self) -> None:
        """Close open batches, where hubs can be told to."""

    def traces(self) -> "list[npt.NDArray[np.void]]":
        """Rows of frames.TRACE_ROW since the last call."""

    def figures(self) -> HubFigures:
        """As of now."""

    def check(self) -> None:
        """Raises TargetFailed when something has ended that should not."""

    async def end(self, deliver_s: float) -> None:
        """Deliver what is left, for so long, and end. Raises TargetFailed."""

    def left(self) -> Iterable[Left]:
        """After the end."""

    def notes(self) -> list[str]:
        """What a person should know about the hubs."""


def left_in_spool(hub: int, path: Path) -> Left:
    """What waits in the spool file of a hub that has ended."""
    store = Store(path, "normal", Limits(1 << 62, float("inf"), "oldest"))
    samples: list[tuple[int, int]] = []
    try:
        loaded = store.open()
        samples += list(zip(loaded.open["tag_id"].tolist(), loaded.open["counter"].tolist(), strict=True))
        held: list[int] = []
        while True:
            batches, _ = store.next(held, 500)
            if not batches:
                return Left(hub, samples)
            for batch in batches:
                held.append(batch.sequence)
                if batch.samples:
                    samples += sample_keys(batch)
    except StoreError:
        return Left(hub, samples)
    finally:
        store.close()
