"""The live screen of the demo: a run's figures to a rich renderable, for any terminal from 40 x 24 up. Pure."""

from rich.console import ConsoleOptions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tagfleet.demo_summary import rejections, tags
from tagfleet.figures import COUNTING, DELIVERING, ENDED, STARTING, RunFigures
from tagfleet.reading_table import figure, reading_table
from tagfleet.screen_parts import data_path, in_columns, pair

_PATH_WIDTH = 78  # of the data path in a row, with figures of five digits
_PAIR_WIDTH = 26
_READINGS_MIN = 3
_PHASES = {
    STARTING: "starting",
    DELIVERING: "no new samples; waiting for the last ones",
    COUNTING: "counting",
    ENDED: "ended",
}


def screen(figures: RunFigures, options: ConsoleOptions) -> RenderableType:
    """The whole screen, for a console with these options, at most as high as it."""
    width = options.max_width
    wide = width >= _PATH_WIDTH
    pairs = _pairs(figures) if wide else [*_stage_pairs(figures), *_pairs(figures)]
    columns = min(3, max(1, width // _PAIR_WIDTH))
    frame_rows = (5 if wide else 2) + -(-len(pairs) // columns) + 3  # refusals, header, and the cursor's row
    readings = reading_table(figures, max(_READINGS_MIN, options.size.height - frame_rows), width)
    path = _path(figures, options.ascii_only) if wide else _narrow_path(figures)
    return Group(path, in_columns(pairs, columns), _refused(figures), readings)


def line(figures: RunFigures) -> str:
    """The same in one line, for logs."""
    parts = [
        f"{figures.elapsed_s:5.1f} s",
        f"{len(figures.latest or ())} tags heard",
        f"{figures.made:,} made",
        f"{figures.delivered:,} delivered",
        f"{figures.pending:,} on the way",
        f"{figures.delivered_per_s:.0f}/s",
        f"{figure(figures.bytes_per_sample, '.1f')} B/sample",
        f"p99 {figure(figures.latency.percentile_ms(0.99), ',.0f')} ms",
        f"refused {sum(rejections(figures).values()):,}",
    ]
    if figures.twin_ids:
        made, delivered = figures.twins
        parts.append(f"twins {delivered}/{made}")
    bad = figures.duplicates + figures.wrong
    return ", ".join(parts) + (f", BAD {bad}" if bad else "")


def _stages(figures: RunFigures) -> list[tuple[str, str, str]]:
    """Name, figure and colour of each stage of the data path."""
    return [
        ("tags", f"{figures.made:,} samples", "green"),
        ("radio", f"{figures.reports:,} reports", "cyan"),
        ("taghub", f"{figures.accepted:,} accepted", "yellow"),
        ("MQTT broker", f"{figures.batches:,} batches", "magenta"),
        ("subscriber", f"{figures.delivered:,} delivered", "green"),
    ]


def _path(figures: RunFigures, ascii_only: bool) -> RenderableType:
    title = Text.assemble(("tagfleet demo", "bold"), f"  {tags(figures)}")
    subtitle = f"{_state(figures)}  [dim]Ctrl-C ends it with a summary[/]"
    return data_path(_stages(figures), _bar(figures), title, subtitle, ascii_only)


def _narrow_path(figures: RunFigures) -> RenderableType:
    state = Text.assemble(("tagfleet demo ", "bold"), _state(figures), no_wrap=True, overflow="ellipsis")
    bar = Table.grid(expand=True)
    bar.add_row(_bar(figures))  # by itself it ends without a new line
    return Group(state, bar)


def _state(figures: RunFigures) -> str:
    left_s = max(0.0, figures.duration_s - figures.elapsed_s)
    return _PHASES.get(figures.phase, f"{left_s:.0f} s left")


def _bar(figures: RunFigures) -> ProgressBar:
    return ProgressBar(total=figures.duration_s, completed=min(figures.elapsed_s, figures.duration_s))


def _stage_pairs(figures: RunFigures) -> list[Text]:
    return [pair(name, said) for name, said, _ in _stages(figures)]


def _pairs(figures: RunFigures) -> list[Text]:
    p50, p99 = figures.latency.percentile_ms(0.50), figures.latency.percentile_ms(0.99)
    made, delivered = figures.twins
    return [
        pair("tags heard", f"{len(figures.latest or ())}"),
        pair("samples/s", f"{figures.delivered_per_s:.1f}"),
        pair("p50/p99", f"{figure(p50, ',.0f')}/{figure(p99, ',.0f')} ms"),
        pair("twins", f"{delivered} of {made}" if figures.twin_ids else "none"),
        pair("on the way", f"{figures.pending:,}"),
        pair("bytes/sample", figure(figures.bytes_per_sample, ".1f")),
        pair("unheard", f"{figures.unheard:,}"),
        pair("duplicated", f"{figures.duplicates}"),
        pair("wrong", f"{figures.wrong}", bad=figures.duplicates + figures.wrong > 0),
    ]


def _refused(figures: RunFigures) -> Text:
    refused = ", ".join(f"{count:,} {name}" for name, count in rejections(figures).items()) or "nothing yet"
    text = pair("refused by the gateway:", refused)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
