"""A cap on the bytes that go to the broker. Pure: the time comes in."""

BURST_BYTES = 64 * 1024  # one batch always goes at once


class Pacer:
    """A token bucket; `bytes_per_s` of 0 is no cap."""

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_bytes = float(BURST_BYTES)
        self._then_s = 0.0

    def delay_s(self, now_s: float) -> float:
        """How long the next batch has to wait; 0 when it may go."""
        if not self._bytes_per_s:
            return 0.0
        earned = max(0.0, now_s - self._then_s) * self._bytes_per_s
        self._free_bytes = min(BURST_BYTES, self._free_bytes + earned)
        self._then_s = now_s
        return -self._free_bytes / self._bytes_per_s if self._free_bytes <= -1 else 0.0  # less is rounding

    def spend(self, size_bytes: int) -> None:
        """So many bytes have gone."""
        if self._bytes_per_s:
            self._free_bytes -= size_bytes
