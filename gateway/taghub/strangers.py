"""Who else is on the air: devices that are no tags of ours, with the names they give themselves. Pure."""

from typing import NamedTuple

from bumble.company_ids import COMPANY_IDENTIFIERS

from taghub.heard import Advertisement
from taghub.radio.adv_data import company_ids, local_name

STRANGERS_MAX = 1000  # addresses change all the time: the one that was silent longest makes room
NAME_CHARACTERS_MAX = 40


class Stranger(NamedTuple):
    """One address. name: its own, empty when it does not say it; maker: of the company ids that it used last."""

    address: str
    name: str
    maker: str
    reports: int
    t_us: int
    rssi_dbm: int


class Strangers:
    """Feed it a radio's tap."""

    def __init__(self, company_id: int) -> None:
        """company_id: our own, whose frames are somebody else's business."""
        self._company_id = company_id
        self._rows: dict[str, Stranger] = {}

    def take(self, advertisement: Advertisement) -> Stranger | None:
        """The row of a device that was not there before, else None."""
        makers = company_ids(advertisement.adv_data)
        if self._company_id in makers:
            return None
        before = self._rows.pop(advertisement.address, None)  # and back in at the end: sorted by age
        if before is None and len(self._rows) >= STRANGERS_MAX:
            del self._rows[next(iter(self._rows))]
        name = _printable(local_name(advertisement.adv_data) or (before.name if before else ""))
        maker = ", ".join(COMPANY_IDENTIFIERS.get(number, f"0x{number:04X}") for number in makers)
        row = Stranger(
            advertisement.address,
            name,
            maker or (before.maker if before else ""),
            1 if before is None else before.reports + 1,
            advertisement.t_us,
            advertisement.rssi_dbm,
        )
        self._rows[advertisement.address] = row
        return row if before is None else None

    def rows(self) -> list[Stranger]:
        """The loudest first."""
        return sorted(self._rows.values(), key=lambda row: (-row.rssi_dbm, row.address))


def _printable(text: str) -> str:
    """A name cannot play with the terminal."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)[:NAME_CHARACTERS_MAX]
