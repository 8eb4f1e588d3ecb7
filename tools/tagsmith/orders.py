"""CSV files to typed rows, and rows to CSV. Pure.

Columns of orders: `reference` (what the customer calls it), `board`, `company_id`, `count` (that many tags, 1 by
default), and any setting of the firmware by its name. All may be missing; an empty cell means the default.

Columns of tags from elsewhere: `id`, those of orders but `count`, and for a tag that is made already its `root_key` (32
hexadecimal digits), `generation` and `chip`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from tagsmith.firmware_rules import check_board, parse_setting
from tagsmith.identity import ROOT_KEY_BYTES, parse_id
from tagsmith.lifecycle import GENERATION_MAX
from tagsmith.records import Imported, Order

DEFAULT_BOARD = "esp32-devkit"
TEST_COMPANY_ID = 0xFFFF  # nobody's: for tests, as Bluetooth's Assigned Numbers say
TAGS_MAX = 10_000
COUNT_MAX = 1_000
REFERENCE_MAX = 40
_ORDER_COLUMNS = ("reference", "board", "company_id", "count")
_TAG_COLUMNS = ("id", "reference", "board", "company_id", "generation", "root_key", "chip")
FAULT_MAX = 400
_LOOKS_LIKE_A_KEY = re.compile(rf"[0-9A-Fa-f]{{{2 * ROOT_KEY_BYTES - 2},}}")  # some digits may be missing
_CHIP = re.compile(r"[0-9a-f]{12}")
_Parsed = TypeVar("_Parsed")


class OrderFault(ValueError):
    """The file is wrong; the text says where and how, and never holds a key."""


def parse_orders(text: str) -> list[Order]:
    """One order per tag, in the file's order. Raises OrderFault."""

    def parse(cells: dict[str, str]) -> list[Order]:
        return [_order(cells, _ORDER_COLUMNS)] * _integer("count", cells, 1, 1, COUNT_MAX)

    return [order for orders in _parse(text, parse) for order in orders]


def parse_tags(text: str) -> list[Imported]:
    """Tags that were planned or made elsewhere. Raises OrderFault."""

    def parse(cells: dict[str, str]) -> list[Imported]:
        tag_id = parse_id(cells.get("id", ""))
        generation = _integer("generation", cells, 0, 0, GENERATION_MAX)
        order = _order(cells, _TAG_COLUMNS)
        return [Imported(tag_id, order, generation, _root_key(cells.get("root_key", "")), _chip(cells.get("chip", "")))]

    return [tag for tags in _parse(text, parse) for tag in tags]


def _parse(text: str, parse_row: Callable[[dict[str, str]], list[_Parsed]]) -> Iterable[list[_Parsed]]:
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    # Spreadsheets put semicolons where the decimal comma is at home.
    delimiter = ";" if ";" in header and "," not in header else ","
    rows = csv.DictReader(io.StringIO(text), strict=True, delimiter=delimiter)
    number = 0
    try:
        columns = [name.strip() for name in rows.fieldnames or ()]
        for name in columns:
            if columns.count(name) > 1:
                raise OrderFault(f"line 1: two columns are called {name!r}")
        for row in rows:
            try:
                if None in row or None in row.values():
                    raise ValueError("it does not have as many cells as the header")
                parsed = parse_row({name.strip(): value.strip() for name, value in row.items()})
            except ValueError as error:
                raise OrderFault(f"line {rows.line_num}: {_without_keys(str(error))}") from None
            number += len(parsed)
            if number > TAGS_MAX:
                raise OrderFault(f"more than {TAGS_MAX} tags in one file")
            yield parsed
    except csv.Error as error:
        raise OrderFault(f"line {rows.line_num}: {error}") from None
    if not number:
        raise OrderFault("a header line and a line per tag are needed, and there is none")


def _without_keys(text: str) -> str:
    """A sentence that can be shown: a key may stand in the wrong column, and so may a whole novel."""
    text = _LOOKS_LIKE_A_KEY.sub("(32 hexadecimal digits)", text)
    return text if len(text) <= FAULT_MAX else text[: FAULT_MAX - 4] + " ..."


def _order(cells: dict[str, str], own_columns: tuple[str, ...]) -> Order:
    settings: dict[str, int | bool | str] = {
        name: parse_setting(name, value) for name, value in cells.items() if name not in own_columns and value
    }
    company_id = _integer("company_id", cells, TEST_COMPANY_ID, 0, 0xFFFF)
    return Order(
        check_board(cells.get("board") or DEFAULT_BOARD),
        company_id,
        settings,
        check_reference(cells.get("reference", "")),
    )


def check_reference(text: str) -> str:
    """The reference itself. Raises ValueError when it does not fit on a label."""
    if len(text) > REFERENCE_MAX or not text.isprintable():
        raise ValueError(f"the reference has more than {REFERENCE_MAX} characters, or some that cannot be printed")
    return text


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


def _root_key(text: str) -> bytes | None:
    if not text:
        return None
    try:
        root_key = bytes.fromhex(text)
    except ValueError:
        root_key = b""
    if len(root_key) != ROOT_KEY_BYTES:
        raise ValueError(f"root_key does not have {2 * ROOT_KEY_BYTES} hexadecimal digits")
    return root_key


def _chip(text: str) -> str | None:
    """A factory MAC as boards tell it, whatever stands between its digits."""
    if not text:
        return None
    chip = re.sub(r"[:.\- ]", "", text.lower())
    if not _CHIP.fullmatch(chip):
        raise ValueError("chip does not have 12 hexadecimal digits")
    return chip


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
