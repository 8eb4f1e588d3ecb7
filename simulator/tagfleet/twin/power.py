"""When a virtual board loses power. Pure."""


class PowerSupply:
    """Counts a board's durable operations (flash program, flash erase, NVS commit, RTC memory) and fails in one.

    fail_at: the number of that operation, from 0; None: never. done: the share of it, 0.0 to 1.0, that still
    happens; what is not flash happens whole (1.0) or not at all.
    """

    def __init__(self, fail_at: int | None = None, done: float = 0.0) -> None:
        self.operations = 0
        self.fail_at = fail_at
        self.done = done

    def fails_now(self) -> bool:
        """Called once for each durable operation: whether power fails in it."""
        fails = self.operations == self.fail_at
        self.operations += 1
        return fails
