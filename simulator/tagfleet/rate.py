"""How fast something grows, of late. Pure."""

from collections import deque

WINDOW_S = 5.0


class Rate:
    """Tell it how many there are; it knows how many came a second, over the last five."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, int]] = deque()

    def tell(self, elapsed_s: float, count: int) -> None:
        """So many by then."""
        self._history.append((elapsed_s, count))
        while self._history[0][0] < elapsed_s - WINDOW_S:
            self._history.popleft()

    @property
    def per_s(self) -> float:
        """0 while too little is known."""
        if len(self._history) < 2 or self._history[-1][0] <= self._history[0][0]:
            return 0.0
        (start_s, start), (end_s, end) = self._history[0], self._history[-1]
        return (end - start) / (end_s - start_s)
