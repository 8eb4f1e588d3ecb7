"""Options and texts that the inventory's, the boards' and the batches' commands share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from tagsmith.errors import BenchError
from tagsmith.firmware_rules import check_board, parse_setting
from tagsmith.identity import parse_id, readable_id
from tagsmith.inventory import Order
from tagsmith.orders import TEST_COMPANY_ID, check_reference
from tagsmith.selftest import Limits, Verdict

DEFAULT_COMPANY_ID = f"0x{TEST_COMPANY_ID:04X}"
DEFAULT_GNSS_S = Limits().gnss_s
_Value = TypeVar("_Value")
DEFAULT_INVENTORY = Path(typer.get_app_dir("tagsmith")) / "inventory.db"

InventoryFile = Annotated[
    Path,
    typer.Option("--inventory", envvar="TAGSMITH_INVENTORY", help="The bench's inventory; `inventory init` makes it."),
]
Baud = Annotated[int, typer.Option("--baud", min=9600, help="Speed of the board's console.")]
Why = Annotated[str, typer.Option("--why", help="A word for the audit log.")]
Reference = Annotated[str, typer.Option("--reference", help="What the customer calls it; stands on the label.")]
BoardName = Annotated[str, typer.Option("--board", help="How the tag is wired: a board file of the firmware.")]
CompanyId = Annotated[
    str, typer.Option("--company-id", help="Bluetooth company id in its beacons; 0xFFFF is for tests only.")
]
SettingOptions = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the firmware; may be repeated.")
]
GnssSeconds = Annotated[int, typer.Option("--gnss-s", min=1, max=300, help="Longest wait for the GNSS receiver, s.")]


def parsed(parse: Callable[[str], _Value], text: str) -> _Value:
    """`parse(text)`; its ValueError becomes wrong usage with the same sentence."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def tag_id_of(text: str) -> int:
    """A tag id from the command line, in either form. Raises typer.BadParameter."""
    return parsed(parse_id, text)


def order_of(board: str, company_id: str, settings: list[str] | None, reference: str) -> Order:
    """An order from command-line options. Raises typer.BadParameter."""
    values: dict[str, int | bool | str] = {}
    for setting in settings or []:
        name, _, value = setting.partition("=")
        values[name] = parsed(partial(parse_setting, name), value)
    number = company_id_of(company_id)
    return Order(parsed(check_board, board), number, values, parsed(check_reference, reference))


def company_id_of(text: str) -> int:
    """A company id, decimal or as 0x004C. Raises typer.BadParameter."""
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF:
        raise typer.BadParameter(f"{text!r} is not a company id of 16 bits, such as 0x004C")
    return number


def limits_of(gnss_s: int) -> Limits:
    """The self test's limits with this patience."""
    return Limits(gnss_s=gnss_s)


def end_with(error: BenchError, *, as_json: bool) -> NoReturn:
    """End a command whose result is printed already; with --json that result is the one answer, and the code tells."""
    if as_json:
        raise typer.Exit(error.exit_code)
    raise error


def tag_name(tag_id: int) -> str:
    """A tag in a sentence: both forms of its id."""
    return f"tag {tag_id} ({readable_id(tag_id)})"


def verdict_lines(verdicts: list[Verdict]) -> str:
    """The self test, a line per part."""
    lines = []
    for verdict in verdicts:
        lines.append(f"  {'pass' if verdict.passed else 'FAIL'}  {verdict.part:<8} {verdict.measured}")
        if not verdict.passed:
            lines.append(f"        look at: {verdict.try_next}")
    return "\n".join(lines)


def verdict_values(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """The self test for JSON."""
    return [verdict._asdict() for verdict in verdicts]
