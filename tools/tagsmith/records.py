"""The rows of the inventory, as callers give and get them. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

Settings = dict[str, int | bool | str]


class Order(NamedTuple):
    """What a tag shall be. reference: the customer's name for it, stands on the label; may be empty."""

    board: str
    company_id: int
    settings: Settings
    reference: str


class Change(NamedTuple):
    """What a tag shall be from now on; None stays as it is. settings: only these change, None as a value takes the
    firmware's default again."""

    board: str | None = None
    company_id: int | None = None
    settings: Mapping[str, int | bool | str | None] = MappingProxyType({})
    reference: str | None = None


class TagRow(NamedTuple):
    """One tag in its newest generation. board to reference: what it shall be. rotate: why it shall get a new key the
    next time it is on a bench, None if it shall not. generation, chip, changed_s: None while no key was made for it.
    written: board, company id and settings as its board has them, by its file or by commands; None while none has."""

    tag_id: int
    board: str
    company_id: int
    settings: Settings
    reference: str
    created_s: int
    rotate: str | None
    generation: int | None
    state: str
    chip: str | None
    changed_s: int | None
    written: tuple[str, int, Settings] | None

    @property
    def due(self) -> str | None:
        """Why the tag shall be provisioned anew without being asked for; None when it is as it shall be."""
        return self.rotate or (f"changed: {'; '.join(self.changes)}" if self.changes else None)

    @property
    def changes(self) -> list[str]:
        """What the tag shall be and is not yet, a phrase for each."""
        if self.written is None:
            return []
        board, company_id, settings = self.written
        names = sorted(settings.keys() | self.settings.keys())
        pairs: list[tuple[str, object, object]] = [
            ("board", board, self.board),
            ("company_id", company_id, self.company_id),
            *((name, settings.get(name, "default"), self.settings.get(name, "default")) for name in names),
        ]
        return [f"{name} {before} -> {after}" for name, before, after in pairs if before != after]


class Calibration(NamedTuple):
    """One comparison with a reference. measured_on: ISO date. deviation: tag minus reference in the quantity's unit
    (degrees Celsius, % RH, mV), None when the certificate alone says it."""

    tag_id: int
    quantity: str
    reference: str
    measured_on: str
    certificate: str
    deviation: float | None


class Imported(NamedTuple):
    """A tag from elsewhere. root_key: None for one that is still to be made; then generation and chip say nothing."""

    tag_id: int
    order: Order
    generation: int
    root_key: bytes | None
    chip: str | None


class AuditRow(NamedTuple):
    """One thing that was done."""

    at_s: int
    who: str
    action: str
    tag_id: int | None
    generation: int | None
    detail: str
