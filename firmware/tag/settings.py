"""A tag's settings as they are provisioned: names, units, defaults and limits. Pure; README.md says what each is for.

Read after each reset; a wake from deep sleep has them from RTC memory, see `config`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.config import Settings

TIME_MAX_S = 0xEFFFFFFF  # the year 2097

# name, default, minimum, maximum. The last part of a name is its unit.
TABLE = (
    ("interval_s", 300, 2, 86400),
    ("still_interval_s", 0, 0, 86400),
    ("alarm_interval_s", 60, 2, 86400),
    ("burst_events", 12, 1, 100),
    ("burst_interval_ms", 25, 20, 1000),  # 20 ms is Bluetooth's minimum (Vol 4, Part E, 7.8.5)
    ("burst_repeats", 2, 0, 20),
    ("alarm_burst_s", 5, 0, 60),
    ("gnss_interval_s", 0, 0, 1800),
    ("gnss_still_s", 900, 0, 1800),
    ("gnss_cold_timeout_s", 90, 0, 600),
    ("gnss_hot_timeout_s", 15, 0, 600),
    ("gnss_settle_s", 3, 0, 60),
    ("gnss_dark_s", 30, 0, 600),
    ("gnss_baud", 9600, 4800, 921600),
    # An ESP32 without a 32 kHz crystal was seen to drift 20 minutes in 15 hours; more than 34 make a time ambiguous.
    ("clock_hold_h", 12, 0, 24),
    ("motion_threshold_mg", 64, 16, 2000),
    ("shock_threshold_mg", 0, 0, 7800),
    ("repl_window_s", 5, 0, 60),
    ("journal_kb", 256, 64, 1024),
    ("window_unsettled", 12, 1, 10000),
    ("window_every", 6, 1, 1000),
    ("window_s", 3, 1, 60),
    ("shelf_interval_s", 21600, 60, 86400),
    ("flight_h", 24, 1, 72),
    ("alarm_hold_s", 0, 0, 3600),
    ("temperature_high_mc", 125000, -80000, 125000),
    ("temperature_low_mc", -80000, -80000, 125000),
    ("temperature_hysteresis_mc", 500, 0, 20000),
    ("humidity_high_mpct", 100000, 0, 100000),
    ("humidity_low_mpct", 0, 0, 100000),
    ("humidity_hysteresis_mpct", 3000, 0, 50000),
    ("battery_low_mv", 0, 0, 5000),
    ("battery_stop_mv", 0, 0, 5000),
    ("trip_number", 0, 0, 65535),
    ("trip_start_s", 0, 0, TIME_MAX_S),
    ("trip_stop_s", 0, 0, TIME_MAX_S),
    ("trip_interval_s", 0, 0, 86400),
    ("trip_temperature_high_mc", 125000, -80000, 125000),
    ("trip_temperature_low_mc", -80000, -80000, 125000),
    ("trip_humidity_high_mpct", 100000, 0, 100000),
    ("trip_humidity_low_mpct", 0, 0, 100000),
    ("temperature_offset_mc", 0, -5000, 5000),
    ("humidity_offset_mpct", 0, -10000, 10000),
)
FLAGS = ("private_ids", "tamper")  # false unless true
# name and its values, the default first
CHOICES = (
    ("mode", ("tracking", "shelf", "flight")),
    ("climate", ("sht4x", "sht3x", "aht20", "bme280", "dht22", "none")),
    ("probe", ("none", "ds18b20", "max31865")),
    ("accelerometer", ("none", "lis2dh12")),
)
# Kept for people, with no meaning to the tag: who calibrated it, when, and what for.
NOTES = ("calibration_id", "calibration_date")


def read_settings(given: "dict[str, int | bool | str]") -> "tuple[Settings, list[str]]":
    """Settings from a provisioning file's `settings`, and one line of complaint for each entry that is not used.

    An unknown name is ignored; a value that is not of its kind or within its limits gives way to the default.
    """
    from tag.config import Settings

    values: "dict[str, int | str]" = {}
    complaints = []
    for name, default, minimum, maximum in TABLE:
        value = given.get(name, default)
        if type(value) is not int or not minimum <= value <= maximum:
            complaints.append("setting %s is not within %d to %d: %d is used" % (name, minimum, maximum, default))
            value = default
        values[name] = value
    for name in FLAGS:
        value = given.get(name, False)
        if type(value) is not bool:
            complaints.append("setting %s is not true or false: false is used" % name)
            value = False
        values[name] = int(value)
    for name, choices in CHOICES:
        chosen = given.get(name, choices[0])
        if chosen not in choices:
            complaints.append("setting %s is none of %s: %s is used" % (name, ", ".join(choices), choices[0]))
            chosen = choices[0]
        values[name] = chosen
    for name in given:
        if name not in values and name not in NOTES:
            complaints.append("setting %s is not known, ignored" % name)
    return Settings(**values), complaints  # type: ignore[arg-type]
