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


QUANTITIES = ("temperature", "humidity", "battery")
CORRECTIONS = {
    "temperature": Correction("temperature_offset_mc", 1000),
    "humidity": Correction("humidity_offset_mpct", 1000),
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
    correction = CORRECTIONS.get(record.quantity)
    if correction is None or record.deviation is None:
        raise InventoryError(
            f"A tag's {record.quantity} cannot be corrected without a deviation, or not at all.",
            f"--deviation, tag minus reference, of {' or '.join(CORRECTIONS)}",
        )
    compared_with = tag.settings if tag.written is None else tag.written[2]
    offset = int(compared_with.get(correction.setting, 0)) - round(record.deviation * correction.scale)
    try:
        return {
            correction.setting: parse_setting(correction.setting, str(offset)),
            # The tag carries whose word it is, and of which day.
            "calibration_id": parse_setting("calibration_id", record.certificate),
            "calibration_date": parse_setting("calibration_date", record.measured_on),
        }
    except ValueError as error:
        raise InventoryError(f"The tag cannot be corrected so: {error}.", "another sensor, or a shorter name") from None


def calibrations(inventory: Inventory, tag_id: int) -> list[Calibration]:
    """A tag's comparisons, in the order in which they were noted."""
    rows = inventory.connection.execute(
        "SELECT tag_id, quantity, reference, measured_on, certificate, deviation FROM calibration "
        "WHERE tag_id = ? ORDER BY rowid",
        (tag_id,),
    )
    return [Calibration(*row) for row in rows]
