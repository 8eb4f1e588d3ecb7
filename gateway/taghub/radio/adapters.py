"""Which of a machine's Bluetooth adapters a radio uses. Pure.

An adapter's name (hci0) is given anew each time it is plugged in or reset; its address stays. So a radio is bound to
the address of the adapter that it was first opened on.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Adapter(NamedTuple):
    """One adapter as BlueZ shows it: name such as "hci0", address in capitals, whether its power is on."""

    name: str
    address: str
    powered: bool


def choose(
    adapters: Iterable[Adapter], wanted: str | None, known_address: str | None, taken: Collection[str]
) -> Adapter | None:
    """The adapter to use, None when it is not there.

    wanted: a name or an address from the settings, None for any. known_address: of the adapter used before. taken:
    addresses of the adapters that other radios of this hub use.
    """
    present = sorted(adapters, key=lambda adapter: (not adapter.powered, _number(adapter.name)))
    for adapter in present:
        if adapter.address == known_address:
            return adapter
    if wanted is not None:
        # By its name another one may stand in, a spare part say, but none that is at work already.
        present = [adapter for adapter in present if wanted.lower() in (adapter.name.lower(), adapter.address.lower())]
    free = [adapter for adapter in present if adapter.address not in taken]
    return free[0] if free else None


def _number(name: str) -> tuple[int, str]:
    """hci10 comes after hci9."""
    digits = name.removeprefix("hci")
    return (int(digits) if digits.isdigit() else 1 << 16), name
