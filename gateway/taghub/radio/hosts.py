"""What bleak is told on each kind of host, and what can be done there about a radio that does not work."""

from collections.abc import Callable
from typing import Any, Protocol

from taghub.errors import RadioError
from taghub.settings import BleakSettings, BumbleSettings


class Host(Protocol):
    """Where a scan runs. `filtered` and `steps`: of a passive scan, and as of `taghub.radio.base.Radio`."""

    filtered: bool
    steps: frozenset[str]

    async def scanner_arguments(self, passive: bool, on_lost: Callable[[str], None]) -> dict[str, Any]:
        """Of BleakScanner, beside callback and scanning mode. on_lost: to be called when a scan dies by itself.

        Raises AbsentError, SwitchedOffError and RadioError."""

    def client_arguments(self) -> dict[str, Any]:
        """Of BleakClient, beside device and timeout."""

    def released(self) -> None:
        """The scan has ended."""

    async def take_step(self, step: str) -> None:
        """See `taghub.radio.base.Radio`."""

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """See `taghub.radio.base.Radio`."""


class BumbleHost:
    """A controller over raw HCI. Opening it resets it, so that there is no step beyond."""

    filtered = False
    steps: frozenset[str] = frozenset()

    def __init__(self, settings: BumbleSettings) -> None:
        """Imports bumble, which takes half a second, before anything listens."""
        from taghub.radio.bumble_backend import BumbleScanner
        from taghub.radio.bumble_client import BumbleClient

        self._backend = BumbleScanner
        self._client_backend = BumbleClient
        self._transport = settings.transport

    async def scanner_arguments(self, passive: bool, on_lost: Callable[[str], None]) -> dict[str, Any]:
        return {"backend": self._backend, "transport": self._transport, "on_lost": on_lost}

    def client_arguments(self) -> dict[str, Any]:
        return {"backend": self._client_backend, "transport": self._transport}

    def released(self) -> None:
        pass

    async def take_step(self, step: str) -> None:
        raise RadioError(f"a raw controller knows no {step}")

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """A scan that runs tells by itself."""


class SystemHost:
    """The Bluetooth of macOS or Windows, which chooses the adapter and mends itself."""

    filtered = False
    steps: frozenset[str] = frozenset()

    def __init__(self, settings: BleakSettings) -> None:
        self._adapter = settings.adapter

    async def scanner_arguments(self, passive: bool, on_lost: Callable[[str], None]) -> dict[str, Any]:
        if self._adapter is not None:
            raise RadioError("this system chooses the adapter by itself: leave `adapter` out")
        return {}

    def client_arguments(self) -> dict[str, Any]:
        return {}

    def released(self) -> None:
        pass

    async def take_step(self, step: str) -> None:
        raise RadioError(f"this system knows no {step}")

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """It tells nothing."""
