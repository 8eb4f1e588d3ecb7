"""How long to wait before trying again. Pure but for the dice."""

import random

FIRST_S = 1.0
LONGEST_S = 30.0  # a truck that leaves a dead zone should not wait much longer


def delay_s(attempt: int, longest_s: float = LONGEST_S) -> float:
    """Seconds before the next try after `attempt` failures in a row (1 or more): doubling from 1 s, and anywhere
    between half of that and all of it, so that a fleet does not come back in one moment."""
    full = min(longest_s, FIRST_S * 2.0 ** min(attempt - 1, 30))
    return full * random.uniform(0.5, 1.0)
