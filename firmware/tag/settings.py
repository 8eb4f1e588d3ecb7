"""A tag's settings: names, units, defaults and limits. Pure."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Settings(NamedTuple):
        """One value for each row of `TABLE`, in its order."""

        interval_s: int
        burst_events: int
        burst_interval_ms: int
        burst_repeats: int
        gnss_cold_timeout_s: int
        gnss_hot_timeout_s: int
        gnss_settle_s: int
        clock_hold_h: int
        repl_window_s: int
        journal_kb: int

else:
    from collections import namedtuple

    Settings = namedtuple(
        "Settings",
        (
            "interval_s",
            "burst_events",
            "burst_interval_ms",
            "burst_repeats",
            "gnss_cold_timeout_s",
            "gnss_hot_timeout_s",
            "gnss_settle_s",
            "clock_hold_h",
            "repl_window_s",
            "journal_kb",
        ),
    )

# name, default, minimum, maximum. The last part of a name is its unit. README.md says what each is for.
TABLE = (
    ("interval_s", 300, 2, 86400),
    ("burst_events", 12, 1, 100),
    ("burst_interval_ms", 25, 20, 1000),  # 20 ms is Bluetooth's minimum (Vol 4, Part E, 7.8.5)
    ("burst_repeats", 2, 0, 20),
    ("gnss_cold_timeout_s", 90, 0, 600),
    ("gnss_hot_timeout_s", 15, 0, 600),
    ("gnss_settle_s", 3, 0, 60),
    # An ESP32 without a 32 kHz crystal was seen to drift 20 minutes in 15 hours; more than 34 make a time ambiguous.
    ("clock_hold_h", 12, 0, 24),
    ("repl_window_s", 5, 0, 60),
    ("journal_kb", 256, 64, 1024),
)


def read_settings(given: "dict[str, int | bool | str]") -> "tuple[Settings, list[str]]":
    """Settings from a provisioning file's `settings`, and one line of complaint for each entry that is not used.

    An unknown name is ignored; a value that is no integer within the limits gives way to the default.
    """
    values = {}
    complaints = []
    names = [row[0] for row in TABLE]
    for name in given:
        if name not in names:
            complaints.append("setting %s is not known, ignored" % name)
    for name, default, minimum, maximum in TABLE:
        value = given.get(name, default)
        if type(value) is not int or not minimum <= value <= maximum:
            complaints.append("setting %s is not within %d to %d: %d is used" % (name, minimum, maximum, default))
            value = default
        values[name] = value
    return Settings(**values), complaints
