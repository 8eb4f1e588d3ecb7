"""Quantities as people write them, "5 min" or "20 %": text to numbers in one unit. Pure.

Each raises ValueError, whose text says what would be right.
"""

import re
from typing import NamedTuple

_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*"
_TIME_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
LONGEST_D = 3_660  # ten years


def seconds(text: object) -> float:
    """A span of time: "250 ms", "30 s", "5 min", "2 h", "1 d"; negative only where a clock is set back."""
    match = re.fullmatch(_NUMBER + r"([a-z]+)\s*", text) if isinstance(text, str) else None
    if match is None or match[2] not in _TIME_S:
        raise ValueError(f'{_said(text)} is no time; write it with its unit, such as "30 s", "5 min", "2 h" or "1 d"')
    span_s = float(match[1]) * _TIME_S[match[2]]
    if abs(span_s) > LONGEST_D * _TIME_S["d"]:
        raise ValueError(f"more than {LONGEST_D} d is too long")
    return span_s


def share(text: object) -> float:
    """A part of a whole: "20 %", or a number from 0 to 1."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        match = re.fullmatch(_NUMBER + r"%\s*", text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f'{_said(text)} is no share; write "20 %", or a number from 0 to 1')
        value = float(match[1]) / 100
    if not 0 <= value <= 1:
        raise ValueError(f"{_said(text)} is no share: it must be within 0 and 100 %")
    return value


class Amount(NamedTuple):
    """An upper limit: as a count, or as a share of all."""

    value: float
    of_all: bool

    def allows(self, count: int, total: int) -> bool:
        """Whether `count` out of `total` is within the limit."""
        return count <= (self.value * total if self.of_all else self.value)

    def __str__(self) -> str:
        return f"{100 * self.value:.6g} %" if self.of_all else f"{self.value:,.0f}"


def amount(text: object) -> Amount:
    """A limit: a count such as 0 or 25, or a share such as "0.5 %"."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return Amount(float(text), False)
    if isinstance(text, str):
        return Amount(share(text), True)
    raise ValueError(f'{_said(text)} is no limit; write a count such as 0, or a share such as "0.5 %"')


def speed(text: object) -> float:
    """How fast time passes: "real" is 1, "60x" is 60, and "fast", as fast as it can, is infinity."""
    words = {"real": 1.0, "fast": float("inf")}
    if isinstance(text, str) and text in words:
        return words[text]
    match = re.fullmatch(_NUMBER + "x", text) if isinstance(text, str) else None
    if match is None or not 1 <= float(match[1]) <= 1_000_000:
        raise ValueError(f'{_said(text)} is no speed of time; write "real", "fast", or "60x" (from 1x on)')
    return float(match[1])


def numbers(text: object, largest: int) -> list[int]:
    """Some of the numbers 1 to `largest`: "all", "7", "1-20", "1-3, 8"."""
    if text == "all":
        return list(range(1, largest + 1))
    found: set[int] = set()
    for part in str(text).split(",") if isinstance(text, (str, int)) and not isinstance(text, bool) else [""]:
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise ValueError(f'{_said(text)} names none; write "all", "7", "1-20" or "1-3, 8"')
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= largest:
            raise ValueError(f"{part.strip()} is not within 1 and {largest}")
        found |= set(range(first, last + 1))
    return sorted(found)


def duration_text(span_s: float) -> str:
    """Seconds as a scenario would say them: "30 s", "5 min", "1.5 h"."""
    for unit in ("d", "h", "min"):
        if span_s >= _TIME_S[unit] and span_s % (_TIME_S[unit] / 2) < 1e-9:
            return f"{span_s / _TIME_S[unit]:g} {unit}"
    return f"{span_s:g} s"


def _said(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
