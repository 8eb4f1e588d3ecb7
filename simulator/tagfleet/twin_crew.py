"""The twins of a run, on their virtual board and link, from its set-up to its end."""

from pathlib import Path
from typing import Any, Self

from tagfleet.ledger import Ledger
from tagfleet.oracle import NonceOracle
from tagfleet.twin import TwinSpec
from tagfleet.twin.fleet import TwinFleet
from tagfleet.twins import TwinWatch
from tagfleet.world.world import World
from tagwire.counter import make_counter
from tagwire.provision import Provision


def twin_fleet(
    provisions: list[Provision], world: World, folder: Path, interpreter: str | None, watch: TwinWatch
) -> TwinFleet:
    """Twins that are the first tags of `world`, with a view of the sky; they wait for `start`."""
    specs = [
        TwinSpec(provision, make_counter(provision.generation, 0), world.view(i, always_sky=True))
        for i, provision in enumerate(provisions)
    ]
    return TwinFleet(
        specs,
        folder,
        interpreter,
        on_made=watch.made,
        on_advertised=watch.advertised,
        on_reported=watch.reported,
        autostart=False,
    )


class TwinCrew:
    """The twins of a run, from entering to leaving the context; they are silent until `start`."""

    def __init__(
        self, provisions: list[Provision], world: World, ledger: Ledger, folder: Path, interpreter: str | None
    ) -> None:
        self._watch = TwinWatch(provisions, ledger, NonceOracle())
        self._fleet = twin_fleet(provisions, world, folder, interpreter, self._watch)

    async def __aenter__(self) -> Self:
        """Raises FileNotFoundError when there is no interpreter, OSError when the folder cannot be written."""
        await self._fleet.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._fleet.__aexit__(*error)

    @property
    def hci_transport(self) -> str:
        """What a bumble radio opens to hear them."""
        return self._fleet.hci_transport

    def start(self) -> None:
        """Boot them."""
        self._fleet.start()

    async def stop(self) -> None:
        """Off the air."""
        await self._fleet.stop()

    @property
    def unequal(self) -> list[str]:
        """See TwinWatch."""
        return self._watch.unequal

    def notes(self) -> list[str]:
        """What a person should know about twins whose firmware crashed."""
        processes = {tag_id: twin.process for tag_id, twin in self._fleet.twins.items()}
        return [
            f"twin {tag_id} crashed {process.crashes} times; its last words: {(list(process.console) or ['none'])[-1]}"
            for tag_id, process in processes.items()
            if process.crashes
        ]
