"""Comparisons of tags with reference instruments, and the corrections that follow from them."""

from typing import NamedTuple

from tagsmith import store
from tagsmith.errors import InventoryError
from tagsmith.firmware_rules import parse_setting
from tagsmith.inventory import Inventory
from tagsmith.records import Calibration, Change, TagRow


class Correction(NamedTuple):
    """How a quantity is corrected on the tag. setting: the offset that the firmware adds. scale: of the quantity's unit
    in the setting's."""

    setting: str
    scale: int


QUANTITIES = {
    "temperature": Correction("temperature_offset_mc", 1000),
    "humidity": Correction("humidity_offset_mpct", 1000),
    "battery": Correction("battery_offset_mv", 1),
}


def add_calibration(inventory: Inventory, record: Calibration, *, correct: bool = False) -> TagRow:
    """Note a comparison with a reference, and give the tag as it is then.

    correct: the tag shall read as the reference did; its offset moves by the deviation, from what it was when it was
    compared, and it gets it the next time it is on a bench, or by a command. Raises InventoryError.
    """
    with store.transaction(inventory.connection):
        tag = inventory.tag(record.tag_id)
        inventory.connection.execute(
            "INSERT INTO calibration VALUES (?, ?, ?, ?, ?, ?, ?)", (*record, inventory.now_s())
        )
        inventory.note("calibrate", record.tag_id, f"{record.quantity}, certificate {record.certificate}")
        if correct:
            why = f"certificate {record.certificate}"
            tag = inventory.change(record.tag_id, Change(settings=_corrected(tag, record)), why)
    return tag


def _corrected(tag: TagRow, record: Calibration) -> dict[str, int | bool | str | None]:
    if record.deviation is None:
        raise InventoryError("Without a deviation there is nothing to correct.", "--deviation, tag minus reference")
    name, scale = QUANTITIES[record.quantity]
    compared_with = tag.settings if tag.written is None else tag.written[2]
    offset = int(compared_with.get(name, 0)) - round(record.deviation * scale)
    try:
        return {name: parse_setting(name, str(offset))}
    except ValueError as error:
        raise InventoryError(f"The tag cannot be corrected by that much: {error}.", "another sensor") from None


def calibrations(inventory: Inventory, tag_id: int) -> list[Calibration]:
    """A tag's comparisons, in the order in which they were noted."""
    rows = inventory.connection.execute(
        "SELECT tag_id, quantity, reference, measured_on, certificate, deviation FROM calibration "
        "WHERE tag_id = ? ORDER BY rowid",
        (tag_id,),
    )
    return [Calibration(*row) for row in rows]
