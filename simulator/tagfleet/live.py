"""The live screen of a run: figures to a rich renderable, for any terminal from 40 x 24 up. Pure."""

from rich.console import ConsoleOptions, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tagfleet.progress import DELIVERING, STARTING, Progress
from tagfleet.reading_table import figure, reading_table
from tagfleet.summary import rejections, tags

_PATH_WIDTH = 78  # of the data path in a row, with figures of five digits
_PAIR_WIDTH = 26
_READINGS_MIN = 3
_PHASES = {STARTING: "starting", DELIVERING: "no new samples; waiting for the last ones"}


def screen(progress: Progress, options: ConsoleOptions) -> RenderableType:
    """The whole screen, for a console with these options, at most as high as it."""
    width = options.max_width
    wide = width >= _PATH_WIDTH
    pairs = _pairs(progress) if wide else [*_stage_pairs(progress), *_pairs(progress)]
    columns = min(3, max(1, width // _PAIR_WIDTH))
    frame_rows = (5 if wide else 2) + -(-len(pairs) // columns) + 3  # refusals, header, and the cursor's row
    readings = reading_table(progress, progress.now_us, max(_READINGS_MIN, options.size.height - frame_rows), width)
    path = _path(progress, ">" if options.ascii_only else "→") if wide else _narrow_path(progress)
    return Group(path, _figures(pairs, columns), _refused(progress), readings)


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
        f"{figure(progress.bytes_per_sample, '.1f')} B/sample",
        f"p99 {figure(progress.latency_ms(0.99), ',.0f')} ms",
        f"refused {sum(rejections(progress).values()):,}",
    ]
    if progress.twins is not None:
        parts.append(f"twins {progress.twins.delivered}/{progress.twins.made}")
    bad = account.duplicated + account.wrong
    return ", ".join(parts) + (f", BAD {bad}" if bad else "")


def _stages(progress: Progress) -> list[tuple[str, str, str]]:
    """Name, figure and colour of each stage of the data path."""
    account = progress.account
    return [
        ("tags", f"{account.made:,} samples", "green"),
        ("radio", f"{progress.reports:,} reports", "cyan"),
        ("taghub", f"{account.accepted:,} accepted", "yellow"),
        ("MQTT broker", f"{progress.batches:,} batches", "magenta"),
        ("subscriber", f"{account.delivered:,} delivered", "green"),
    ]


def _path(progress: Progress, arrow: str) -> Panel:
    table = Table.grid(expand=True)
    cells = []
    for i, (name, text, colour) in enumerate(_stages(progress)):
        if i:
            table.add_column(justify="center", no_wrap=True)
            cells.append(Text(f"{arrow}\n", style="dim"))
        table.add_column(justify="center", no_wrap=True)
        cells.append(Text.assemble((name, f"bold {colour}"), "\n", text))
    table.add_row(*cells)
    return Panel(
        Group(table, _bar(progress)),
        title=f"[bold]tagfleet demo[/]  {tags(progress)}",
        subtitle=f"{_state(progress)}  [dim]Ctrl-C ends it with a summary[/]",
        border_style="dim",
    )


def _narrow_path(progress: Progress) -> RenderableType:
    state = Text.assemble(("tagfleet demo ", "bold"), _state(progress), no_wrap=True, overflow="ellipsis")
    bar = Table.grid(expand=True)
    bar.add_row(_bar(progress))  # by itself it ends without a new line
    return Group(state, bar)


def _state(progress: Progress) -> str:
    left_s = max(0.0, progress.seconds - progress.elapsed_s)
    return _PHASES.get(progress.phase, f"{left_s:.0f} s left")


def _bar(progress: Progress) -> ProgressBar:
    return ProgressBar(total=progress.seconds, completed=min(progress.elapsed_s, progress.seconds))


def _stage_pairs(progress: Progress) -> list[Text]:
    return [_pair(name, text) for name, text, _ in _stages(progress)]


def _pairs(progress: Progress) -> list[Text]:
    account = progress.account
    p50, p99 = progress.latency_ms(0.50), progress.latency_ms(0.99)
    bad = account.duplicated + account.wrong
    return [
        _pair("tags heard", f"{len(progress.latest)}"),
        _pair("samples/s", f"{progress.delivered_per_s:.1f}"),
        _pair("p50/p99", f"{figure(p50, ',.0f')}/{figure(p99, ',.0f')} ms"),
        _pair("twins", "none" if progress.twins is None else f"{progress.twins.delivered} of {progress.twins.made}"),
        _pair("on the way", f"{progress.pending:,}"),
        _pair("bytes/sample", figure(progress.bytes_per_sample, ".1f")),
        _pair("unheard", f"{account.unheard:,}"),
        _pair("duplicated", f"{account.duplicated}"),
        Text.assemble(("wrong ", "dim"), (f"{account.wrong}", "bold red" if bad else "bold")),
    ]


def _figures(pairs: list[Text], columns: int) -> Table:
    table = Table.grid(expand=True, padding=(0, 2))
    for _ in range(columns):
        table.add_column(ratio=1, no_wrap=True)
    for i in range(0, len(pairs), columns):
        table.add_row(*pairs[i : i + columns])
    return table


def _refused(progress: Progress) -> Text:
    refused = ", ".join(f"{count:,} {name}" for name, count in rejections(progress).items()) or "nothing yet"
    text = _pair("refused by the gateway:", refused)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))
