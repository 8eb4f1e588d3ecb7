"""The one live table of tags on the air, for `rich`. Pure."""

from rich.table import Table

from taghub.scan import Scan, describe


def scan_table(scan: Scan, now_us: int) -> Table:
    """The table as it is now; a tag that was silent for a minute is dim."""
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
    return table
