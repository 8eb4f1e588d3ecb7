"""Options and texts that the inventory's, the boards' and the batches' commands share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from tagsmith.errors import BenchError
from tagsmith.firmware_rules import check_board, parse_setting
from tagsmith.identity import parse_id, readable_id
from tagsmith.orders import DEFAULT_BOARD, TEST_COMPANY_ID, check_reference
from tagsmith.records import Change, Order
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
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="A tag id: a number, or as on its label.")]
TagArguments = Annotated[list[str], typer.Argument(metavar="TAG...", help="Tag ids, as numbers or as on labels.")]
# None where it is not said: a new tag takes the default, one that exists stays as it is.
Reference = Annotated[str | None, typer.Option("--reference", help="What the customer calls it; stands on the label.")]
BoardName = Annotated[
    str | None,
    typer.Option("--board", help=f"How the tag is wired: a board file of the firmware. Default: {DEFAULT_BOARD}."),
]
CompanyId = Annotated[
    str | None,
    typer.Option(
        "--company-id", help=f"Bluetooth company id in its beacons. Default: {DEFAULT_COMPANY_ID}, for tests only."
    ),
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


def change_of(
    board: str | None,
    company_id: str | None,
    settings: list[str] | None,
    reference: str | None,
    unset: list[str] | None = None,
) -> Change:
    """What command-line options say that a tag shall be. Raises typer.BadParameter."""
    values = setting_values(settings) | dict.fromkeys(unset or [])
    return Change(
        None if board is None else parsed(check_board, board),
        None if company_id is None else company_id_of(company_id),
        values,
        None if reference is None else parsed(check_reference, reference),
    )


def setting_values(settings: list[str] | None) -> dict[str, int | bool | str | None]:
    """Settings from NAME=VALUE. Raises typer.BadParameter."""
    values: dict[str, int | bool | str | None] = {}
    for setting in settings or []:
        name, _, value = setting.partition("=")
        values[name] = parsed(partial(parse_setting, name), value)
    return values


def order_of(change: Change) -> Order:
    """An order for a new tag; what is not said takes its default."""
    settings = {name: value for name, value in change.settings.items() if value is not None}
    company_id = TEST_COMPANY_ID if change.company_id is None else change.company_id
    return Order(change.board or DEFAULT_BOARD, company_id, settings, change.reference or "")


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
