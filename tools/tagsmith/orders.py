"""A CSV file of orders to typed rows, and back as a report. Pure.

Columns: `reference` (what the customer calls it), `board`, `company_id`, `count` (that many tags, 1 by default), and
any setting of the firmware by its name. All may be missing; an empty cell means the default.
"""

import csv
import io
from collections.abc import Iterable

from tagsmith.firmware_rules import check_board, parse_setting
from tagsmith.inventory import Order

DEFAULT_BOARD = "esp32-devkit"
TEST_COMPANY_ID = 0xFFFF  # nobody's: for tests, as Bluetooth's Assigned Numbers say
ORDERS_MAX = 10_000
COUNT_MAX = 1_000
_OWN_COLUMNS = ("reference", "board", "company_id", "count")


class OrderFault(ValueError):
    """The file is wrong; the text says where and how."""


def parse_orders(text: str) -> list[Order]:
    """One order per tag, in the file's order. Raises OrderFault."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    orders: list[Order] = []
    try:
        for row in rows:
            try:
                orders += _parse_row({name: value for name, value in row.items() if name is not None})
                if None in row:
                    raise ValueError("it has more cells than the header")
            except ValueError as error:
                raise OrderFault(f"line {rows.line_num}: {error}") from None
            if len(orders) > ORDERS_MAX:
                raise OrderFault(f"more than {ORDERS_MAX} tags in one file")
    except csv.Error as error:
        raise OrderFault(f"line {rows.line_num}: {error}") from None
    if not orders:
        raise OrderFault("it has no orders: a header line and a line per order are needed")
    return orders


def _parse_row(row: dict[str, str | None]) -> list[Order]:
    cells = {name.strip(): (value or "").strip() for name, value in row.items()}
    settings: dict[str, int | bool | str] = {
        name: parse_setting(name, value) for name, value in cells.items() if name not in _OWN_COLUMNS and value
    }
    reference = cells.get("reference", "")
    if len(reference) > 40 or not reference.isprintable():
        raise ValueError("reference has more than 40 characters, or some that cannot be printed")
    board = check_board(cells.get("board") or DEFAULT_BOARD)
    company_id = _integer("company_id", cells, TEST_COMPANY_ID, 0, 0xFFFF)
    count = _integer("count", cells, 1, 1, COUNT_MAX)
    return [Order(board, company_id, settings, reference)] * count


def _integer(name: str, cells: dict[str, str], default: int, minimum: int, maximum: int) -> int:
    text = cells.get(name)
    if not text:
        return default
    try:
        value = int(text, 0)  # company ids are often written 0x004C
    except ValueError:
        value = minimum - 1
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} is {text!r}, not an integer within {minimum} to {maximum}")
    return value


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV. Cells that a spreadsheet would take for a formula get a quote in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if cell is None else _harmless(cell) for cell in row])
    return out.getvalue()


def _harmless(cell: object) -> object:
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
