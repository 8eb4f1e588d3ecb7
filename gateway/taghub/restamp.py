"""Samples of an earlier run that were stamped by a clock which did not know the time. Pure."""

import numpy as np

from taghub.clock import PLAUSIBLE_S
from taghub.sample_rows import Rows, joined


def with_guessed_times(samples: Rows, now_us: int | None, certain: bool) -> tuple[Rows, Rows]:
    """(those whose time is a guess, the others), in their order. certain: whether that run's clock was synchronised at
    its end; where it was not, all are guesses, and possible stamps the best there are.

    A run that begins without the time learns it sooner or later, so what has impossible stamps comes first. How long
    the machine was off is not known: their newest one is put right before what follows, or at `now_us`, the present if
    it is known, and the others keep their distances to it.
    """
    is_possible = samples["t_us"] >= PLAUSIBLE_S * 1_000_000
    count = int(np.argmax(is_possible)) if is_possible.any() else len(samples)
    guessed, others = samples[:count].copy(), samples[count:]
    end_us = int(others["t_us"][0]) if len(others) else now_us
    if count and end_us is not None:
        guessed["t_us"] += end_us - guessed["t_us"][-1]
    return (guessed, others) if certain else (joined([guessed, others]), others[:0])
