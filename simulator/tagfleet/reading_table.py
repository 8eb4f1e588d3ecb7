"""The last readings as a table of fixed columns, as many of them as the terminal is wide enough for. Pure."""

from typing import NamedTuple

from rich.table import Table

from tagfleet.figures import RunFigures
from tagfleet.latest import Latest
from tagwire.words import FIX_WORDS, MOTION_WORDS


class _Column(NamedTuple):
    name: str
    width: int  # of its longest cell: columns must not move when a value grows
    keep: int  # the lowest goes first where there is no room


_TAG_MIN = 14
_COLUMNS = (
    _Column("C", 5, 8),
    _Column("%RH", 5, 7),
    _Column("V", 4, 5),
    _Column("position", 18, 4),
    _Column("fix", max(map(len, FIX_WORDS)), 3),
    _Column("motion", max(map(len, MOTION_WORDS)), 2),
    _Column("dBm", 4, 1),
    _Column("age", 4, 6),
)
_LEFT = ("fix", "motion")


def reading_table(figures: RunFigures, rows: int, width: int) -> Table:
    """Twins first, then the newest samples; `width` in characters."""
    twins = set(figures.twin_ids)
    latest = figures.latest or {}
    newest_first = sorted(latest.items(), key=lambda item: (item[0] not in twins, -item[1].t_us, item[0]))
    shown = newest_first[:rows]
    names = [f"{'twin' if tag_id in twins else 'tag'} {tag_id} #{one.counter & 0xFFFFFF}" for tag_id, one in shown]
    tag_width = max([_TAG_MIN, *map(len, names)])
    columns = _fitting(width - tag_width)
    table = Table(expand=True, box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("last readings", no_wrap=True, min_width=min(tag_width, width), ratio=1)
    for column in columns:
        justify = "left" if column.name in _LEFT else "right"
        table.add_column(column.name, justify=justify, no_wrap=True, width=column.width)  # type: ignore[arg-type]
    for name, (tag_id, one) in zip(names, shown, strict=True):
        cells = _cells(one, figures.now_us)
        table.add_row(name, *(cells[column.name] for column in columns), style="bold" if tag_id in twins else "")
    return table


def figure(value: float | None, form: str, per_unit: float = 1) -> str:
    """`value` in other units and as text, "-" for None."""
    return "-" if value is None else format(value / per_unit, form)


def _fitting(width: int) -> list[_Column]:
    columns = list(_COLUMNS)
    while columns and sum(column.width + 1 for column in columns) > width:
        columns.remove(min(columns, key=lambda column: column.keep))
    return columns


def _cells(latest: Latest, now_us: int) -> dict[str, str]:
    reading = latest.reading
    position = "-"
    if reading.latitude_e7 is not None and reading.longitude_e7 is not None:
        position = f"{reading.latitude_e7 / 1e7:.4f} {reading.longitude_e7 / 1e7:.4f}"
    return {
        "C": figure(reading.temperature_mc, ".1f", 1000),
        "%RH": figure(reading.humidity_mpct, ".1f", 1000),
        "V": figure(reading.battery_mv, ".2f", 1000),
        "position": position,
        "fix": FIX_WORDS[reading.fix],
        "motion": MOTION_WORDS[reading.motion],
        "dBm": str(latest.rssi_dbm),
        "age": _age(max(0, now_us - latest.t_us) / 1e6),
    }


def _age(age_s: float) -> str:
    """At most four characters up to 99 hours."""
    if age_s < 99.5:
        return f"{age_s:.0f} s"
    return f"{age_s / 60:.0f} m" if age_s < 99.5 * 60 else f"{age_s / 3600:.0f} h"
