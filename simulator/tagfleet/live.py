"""The live screen of a run: figures to a rich renderable, for any terminal from 80 x 24 up. Pure."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tagfleet.progress import DELIVERING, STARTING, Latest, Progress
from tagfleet.summary import rejections, tags
from tagwire.words import FIX_WORDS, MOTION_WORDS

_FRAME_ROWS = 12  # everything but the readings themselves
_PHASES = {STARTING: "starting", DELIVERING: "no new samples; waiting for the last ones"}


def screen(progress: Progress, now_us: int, height: int) -> RenderableType:
    """The whole screen, at most `height` rows high."""
    return Group(_path(progress), _figures(progress), _readings(progress, now_us, max(3, height - _FRAME_ROWS)))


def line(progress: Progress) -> str:
    """The same in one line, for logs."""
    account = progress.account
    heard = len(progress.latest)
    parts = [
        f"{progress.elapsed_s:5.1f} s",
        f"{heard} tags heard",
        f"{account.made:,} made",
        f"{account.delivered:,} delivered",
        f"{progress.pending:,} on the way",
        f"{progress.delivered_per_s:.0f}/s",
        f"{_figure(progress.bytes_per_sample, '.1f')} B/sample",
        f"p99 {_figure(progress.latency_ms(0.99), ',.0f')} ms",
        f"refused {sum(rejections(progress).values()):,}",
    ]
    if progress.twins is not None:
        parts.append(f"twins {progress.twins.delivered}/{progress.twins.made}")
    bad = account.duplicated + account.wrong
    return ", ".join(parts) + (f", BAD {bad}" if bad else "")


def _path(progress: Progress) -> Panel:
    account = progress.account
    table = Table.grid(expand=True, padding=(0, 1))
    stages = (
        ("tags", f"{account.made:,} samples", "green"),
        ("radio", f"{progress.reports:,} reports", "cyan"),
        ("taghub", f"{account.accepted:,} accepted", "yellow"),
        ("MQTT broker", f"{progress.batches:,} batches", "magenta"),
        ("subscriber", f"{account.delivered:,} delivered", "green"),
    )
    cells = []
    for i, (name, figure, colour) in enumerate(stages):
        if i:
            table.add_column(justify="center")
            cells.append(Text("→\n", style="dim"))
        table.add_column(justify="center", ratio=1)
        cells.append(Text.assemble((name, f"bold {colour}"), "\n", figure))
    table.add_row(*cells)
    left_s = max(0.0, progress.seconds - progress.elapsed_s)
    state = _PHASES.get(progress.phase, f"{left_s:.0f} s left")
    bar = ProgressBar(total=progress.seconds, completed=min(progress.elapsed_s, progress.seconds))
    return Panel(
        Group(table, bar),
        title=f"[bold]tagfleet demo[/]  {tags(progress)}",
        subtitle=f"{state}  [dim]Ctrl-C ends it with a summary[/]",
        border_style="dim",
    )


def _figures(progress: Progress) -> RenderableType:
    account = progress.account
    table = Table.grid(expand=True, padding=(0, 2))
    for _ in range(3):
        table.add_column(ratio=1, no_wrap=True)
    p50, p99 = progress.latency_ms(0.50), progress.latency_ms(0.99)
    bad = account.duplicated + account.wrong
    table.add_row(
        _pair("tags heard", f"{len(progress.latest)}"),
        _pair("samples/s", f"{progress.delivered_per_s:.1f}"),
        _pair("p50/p99", f"{_figure(p50, ',.0f')}/{_figure(p99, ',.0f')} ms"),
    )
    table.add_row(
        _pair("twins", "none" if progress.twins is None else f"{progress.twins.delivered} of {progress.twins.made}"),
        _pair("on the way", f"{progress.pending:,}"),
        _pair("bytes/sample", _figure(progress.bytes_per_sample, ".1f")),
    )
    table.add_row(
        _pair("unheard", f"{account.unheard:,}"),
        _pair("duplicated", f"{account.duplicated}"),
        Text.assemble(("wrong ", "dim"), (f"{account.wrong}", "bold red" if bad else "bold")),
    )
    refused = ", ".join(f"{count:,} {name}" for name, count in rejections(progress).items()) or "nothing yet"
    return Group(table, _pair("refused by the gateway:", refused))


def _readings(progress: Progress, now_us: int, rows: int) -> Table:
    table = Table(expand=True, box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    table.add_column("last readings", no_wrap=True)
    for name in ("C", "%RH", "V"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("position", justify="right", no_wrap=True)
    table.add_column("fix", no_wrap=True)
    table.add_column("motion", no_wrap=True)
    table.add_column("dBm", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    twins = set(progress.twin_ids or ())
    newest_first = sorted(progress.latest.items(), key=lambda item: (item[0] not in twins, -item[1].t_us, item[0]))
    for tag_id, latest in newest_first[:rows]:
        kind = "twin" if tag_id in twins else "tag"
        table.add_row(*_reading_cells(kind, tag_id, latest, now_us), style="bold" if tag_id in twins else "")
    return table


def _reading_cells(kind: str, tag_id: int, latest: Latest, now_us: int) -> tuple[str, ...]:
    reading = latest.reading
    position = "-"
    if reading.latitude_e7 is not None and reading.longitude_e7 is not None:
        position = f"{reading.latitude_e7 / 1e7:.4f} {reading.longitude_e7 / 1e7:.4f}"
    return (
        f"{kind} {tag_id} #{latest.counter & 0xFFFFFF}",
        _figure(reading.temperature_mc, ".1f", 1000),
        _figure(reading.humidity_mpct, ".1f", 1000),
        _figure(reading.battery_mv, ".2f", 1000),
        position,
        FIX_WORDS[reading.fix],
        MOTION_WORDS[reading.motion],
        str(latest.rssi_dbm),
        f"{max(0, now_us - latest.t_us) / 1e6:.0f} s",
    )


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _figure(value: float | None, form: str, per_unit: float = 1) -> str:
    return "-" if value is None else format(value / per_unit, form)
