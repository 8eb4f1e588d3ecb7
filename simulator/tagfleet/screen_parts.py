"""What the screens of runs and of the demo are made of: the data path as a row of stages, figures in columns. Pure."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_BORDER = 4  # columns of a panel's frame


def data_path(
    stages: Sequence[tuple[str, str, str]],
    bar: RenderableType,
    title: Text,
    subtitle: str,
    ascii_only: bool,
    width: int | None = None,
) -> Panel:
    """stages: name, figure and colour of each, in the order of the path. bar: how far the run is. width: columns of the
    terminal; where the stages do not fit beside each other, they stand below each other."""
    arrow = ">" if ascii_only else "→"
    table = Table.grid(expand=True)
    needed = _BORDER + sum(max(len(name), len(said)) for name, said, _ in stages) + len(stages) - 1
    if width is not None and width < needed:
        for name, said, colour in stages:
            table.add_row(Text(name, style=f"bold {colour}"), Text(said, justify="right"))
        return Panel(Group(table, bar), title=title, subtitle=subtitle, border_style="dim")
    cells = []
    for i, (name, said, colour) in enumerate(stages):
        if i:
            table.add_column(justify="center", no_wrap=True)
            cells.append(Text(f"{arrow}\n", style="dim"))
        table.add_column(justify="center", no_wrap=True)
        cells.append(Text.assemble((name, f"bold {colour}"), "\n", said))
    table.add_row(*cells)
    return Panel(Group(table, bar), title=title, subtitle=subtitle, border_style="dim")


def pair(name: str, value: str, bad: bool = False) -> Text:
    """A figure behind its name."""
    return Text.assemble((f"{name} ", "dim"), (value, "bold red" if bad else "bold"))


def in_columns(pairs: Sequence[Text], columns: int) -> Table:
    """Pairs, row by row."""
    table = Table.grid(expand=True, padding=(0, 2))
    for _ in range(columns):
        table.add_column(ratio=1, no_wrap=True)
    for i in range(0, len(pairs), columns):
        table.add_row(*pairs[i : i + columns])
    return table
