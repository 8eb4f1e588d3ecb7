"""The one live table of tags on the air, for `rich`. Pure."""

from rich.markup import escape
from rich.table import Table

from taghub.scan import Scan, describe
from taghub.strangers import Strangers

STRANGERS_SHOWN = 15


def scan_table(scan: Scan, now_us: int, strangers: Strangers | None = None) -> Table:
    """The table as it is now: tags, then others, the loudest first; who was silent for a minute is dim."""
    refused = ", ".join(f"{count} {outcome}" for outcome, count in scan.counts.items() if count)
    table = Table(caption=f"reports: {refused or 'none yet'}", box=None, expand=True)
    for name in ("tag", "reports", "dBm", "heard", "counter"):
        table.add_column(name, justify="right")
    table.add_column("reading")
    for row in scan.rows():
        age_s = (now_us - row.t_us) / 1e6
        table.add_row(
            str(row.tag_id),
            str(row.reports),
            str(row.rssi_dbm),
            f"{age_s:.0f} s ago",
            str(row.counter) if row.sample else f"..{row.counter:04x}",
            describe(row.sample) if row.sample else "sealed",
            style="dim" if age_s > 60 else "",
        )
    others = [] if strangers is None else strangers.rows()
    for other in others[:STRANGERS_SHOWN]:
        age_s = (now_us - other.t_us) / 1e6
        who = "  ".join(text for text in (other.name, other.maker) if text) or "no name"
        table.add_row(
            other.address,
            str(other.reports),
            str(other.rssi_dbm),
            f"{age_s:.0f} s ago",
            "",
            escape(who),
            style="dim" if age_s > 60 else "cyan",
        )
    if len(others) > STRANGERS_SHOWN:
        table.add_row("", "", "", "", "", f"and {len(others) - STRANGERS_SHOWN} others", style="dim")
    return table
