"""What hubs say to flock tags, and what those answer: from the air's streams to `FlockLinks` and back."""

from collections.abc import Sequence

from tagfleet.airlink import AirLink
from tagfleet.links import FlockLinks


async def converse(links: FlockLinks, airs: Sequence[AirLink | None], now_us: int) -> None:
    """All up to `now_us` of the run's own time. `airs`: of each hub, None for one that is off. Raises AirLost."""
    for hub, air in enumerate(airs):
        if air is not None:
            for record in air.received():
                links.receive(hub, record, now_us)
    for hub, answers in links.due(now_us).items():
        air = airs[hub]
        if air is not None:
            await air.send(answers)
