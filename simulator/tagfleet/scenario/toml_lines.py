"""On which line of a TOML text a key stands, which tomllib does not tell. Pure.

Only for texts that tomllib has read without an error: it looks for headers and keys, and steps over values.
"""

import re

Path = tuple[str | int, ...]
"""Keys from the root on; a number is an element of an array of tables."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?")
_PAIR = re.compile(rf"\s*({_DOTTED})\s*=\s*(.*)")
_SCALARS = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|#.*""")


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every header and of every key that begins a line."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    closing: str | None = None  # what ends a value of several lines
    depth = 0  # of brackets in it
    for number, line in enumerate(text.split("\n"), 1):
        if closing is not None:
            end = line.find(closing)
            if end < 0:
                continue
            closing, line = None, line[end + 3 :]
            depth += _depth(line)
            continue
        if depth > 0:
            depth += _depth(line)
            continue
        if (header := _HEADER.fullmatch(line)) is not None:
            table = _inside(_parts(header[2]), counts)
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                found.setdefault(table, number)
                table = (*table, index)
            found.setdefault(table, number)
        elif (pair := _PAIR.match(line)) is not None:
            path = table + _parts(pair[1])
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
            value = pair[2]
            for quotes in ('"""', "'''"):
                if value.startswith(quotes) and quotes not in value[3:]:
                    closing = quotes
            if closing is None:
                depth = max(0, _depth(value))
    return found


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest thing around it that has one; 0 where nothing does."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY, dotted))


def _inside(parts: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """A header's path; where it passes an array of tables, it means that array's last element."""
    path: Path = ()
    for part in parts[:-1]:
        path = (*path, part)
        if path in counts:
            path = (*path, counts[path] - 1)
    return (*path, parts[-1])


def _depth(line: str) -> int:
    bare = _SCALARS.sub("", line)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
