"""Why a tag makes no samples. Pure. The numbers are those of `tagwire.service`, which a healthy tag does not load."""

NO_KEY = 1
SETTINGS = 2
COUNTER_LOST = 3
COUNTER_EXHAUSTED = 4
CRASH_LOOP = 5
BATTERY_LOW = 6
STORAGE = 7
CLOCK_LOST = 8


class ServiceNeeded(Exception):
    """The tag must not make samples before a person has looked at it. reason: one of the numbers above."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class CounterLost(ServiceNeeded):
    """No counter is certain to be unused; a person has to provision the tag with a new generation."""

    def __init__(self, text: str, reason: int = COUNTER_LOST) -> None:
        super().__init__(reason, text)
