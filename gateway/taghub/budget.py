"""How much searching an unproven frame may cost, for all tags together. Pure: `now_us` comes in."""

SEARCH_TRIES_PER_S = 25_600  # at 1 to 2 us a try, under 5 % of a core, whatever an attacker sends
SEARCH_TRIES_BURST = 51_200  # two hundred first contacts of 256 tries at once


class SearchBudget:
    """A token bucket of seal tries."""

    def __init__(self, tries_per_s: int = SEARCH_TRIES_PER_S, burst: int = SEARCH_TRIES_BURST) -> None:
        self._tries_per_us = tries_per_s / 1_000_000
        self._burst = burst
        self._tries = float(burst)
        self._filled_us: int | None = None

    def spend(self, tries: int, now_us: int) -> bool:
        """Take `tries` out, all or none. A clock that steps back fills nothing and loses nothing."""
        if self._filled_us is not None and now_us > self._filled_us:
            self._tries = min(self._burst, self._tries + (now_us - self._filled_us) * self._tries_per_us)
        self._filled_us = now_us
        if tries > self._tries:
            return False
        self._tries -= tries
        return True

    def give_back(self, tries: int) -> None:
        """Return what a search did not need."""
        self._tries = min(self._burst, self._tries + tries)
