"""The live screen of a run: figures to a rich renderable, for any terminal from 40 x 24 up. Pure."""

from rich.console import ConsoleOptions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tagfleet.figures import COUNTING, DELIVERING, RUNNING, STARTING, RunFigures
from tagfleet.reading_table import figure
from tagfleet.scenario.quantities import duration_text
from tagfleet.screen_parts import data_path, in_columns, pair

_PHASES = {
    STARTING: "starting hubs",
    DELIVERING: "no new samples; waiting for the last ones",
    COUNTING: "hubs end; counting",
}


def screen(figures: RunFigures, options: ConsoleOptions) -> RenderableType:
    """The whole screen."""
    parts: list[RenderableType] = [
        _path(figures, options),
        _pairs(figures, max(1, options.max_width // 26)),
    ]
    if figures.events:
        parts.append(Text())
        parts += [Text(f"  {event}", style="yellow", no_wrap=True, overflow="ellipsis") for event in figures.events]
    return Group(*parts)


def line(figures: RunFigures) -> str:
    """The same in one line, for logs."""
    parts = [
        f"{figures.elapsed_s:5.1f} s",
        f"{100 * figures.moment_s / figures.duration_s:.0f} %" if figures.phase == RUNNING else figures.phase,
        f"{figures.made:,} made",
        f"{figures.accepted:,} accepted",
        f"{figures.delivered:,} delivered",
        f"{figures.delivered_per_s:,.0f}/s",
        f"p99 {figure(figures.latency.percentile_ms(0.99), ',.0f')} ms",
        f"hubs {figures.of_hubs.connected}/{figures.of_hubs.hubs}",
    ]
    if figures.wrong:
        parts.append(f"WRONG {figures.wrong}")
    return ", ".join(parts)


def _path(figures: RunFigures, options: ConsoleOptions) -> RenderableType:
    stages = (
        ("tags", f"{figures.made:,} made", "green"),
        ("radio", f"{figures.reported:,} heard", "cyan"),
        ("hubs", f"{figures.accepted:,} accepted", "yellow"),
        ("broker", f"{figures.acknowledged:,} acked", "magenta"),
        ("consumer", f"{figures.delivered:,} delivered", "green"),
    )
    bar = ProgressBar(total=figures.duration_s, completed=min(figures.moment_s, figures.duration_s))
    title = Text.assemble((figures.name, "bold"), f"  {figures.title}")
    subtitle = f"{_state(figures)}  [dim]Ctrl-C ends it with a report[/]"
    return data_path(stages, bar, title, subtitle, options.ascii_only, options.max_width)


def _state(figures: RunFigures) -> str:
    if figures.phase != RUNNING:
        return _PHASES.get(figures.phase, figures.phase)
    left = f"{duration_text(round(figures.moment_s))} of {duration_text(figures.duration_s)}"
    if figures.speed == 1 or not figures.elapsed_s:
        return left
    return f"{left}, {figures.moment_s / figures.elapsed_s:,.0f} times real time"


def _pairs(figures: RunFigures, columns: int) -> Table:
    hubs, latency = figures.of_hubs, figures.latency
    on_way = max(0, (figures.accepted or figures.reported) - figures.delivered)
    p50, p99 = latency.percentile_ms(0.5), latency.percentile_ms(0.99)
    pairs = [
        ("tags", f"{figures.tags:,}"),
        ("delivered/s", f"{figures.delivered_per_s:,.0f}"),
        ("p50/p99", f"{figure(p50, ',.0f')}/{figure(p99, ',.0f')} ms"),
        ("on the way", f"{on_way:,}"),
        ("bytes/sample", figure(figures.bytes_per_sample, ".1f")),
        ("hubs connected", f"{hubs.connected:,} of {hubs.hubs:,}"),
        ("batches waiting", f"{hubs.undelivered:,}"),
        ("duplicates", f"{figures.duplicates:,}"),
        ("wrong", f"{figures.wrong:,}"),
        ("generator lag", f"{figures.lag_s:.1f} s"),
        ("hubs blocked", f"{figures.slipped_s:.1f} s"),
        ("broker", figures.broker),
    ]
    cells = [pair(name, value, bad=name == "wrong" and figures.wrong > 0) for name, value in pairs]
    return in_columns(cells, min(3, columns))
