"""What a tag is provisioned with, in the form that survives deep sleep: keys derived, settings checked. Pure.

A wake from deep sleep takes it from RTC memory, so that neither the file, nor JSON, nor AES-CMAC is needed for it.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Settings(NamedTuple):
        """One value for each row of `settings.TABLE`, `FLAGS` (0 or 1) and `CHOICES`, in this order."""

        interval_s: int
        still_interval_s: int
        alarm_interval_s: int
        burst_events: int
        burst_interval_ms: int
        burst_repeats: int
        alarm_burst_s: int
        gnss_interval_s: int
        gnss_still_s: int
        gnss_cold_timeout_s: int
        gnss_hot_timeout_s: int
        gnss_settle_s: int
        gnss_dark_s: int
        gnss_baud: int
        clock_hold_h: int
        motion_threshold_mg: int
        shock_threshold_mg: int
        repl_window_s: int
        journal_kb: int
        window_unsettled: int
        window_every: int
        window_s: int
        shelf_interval_s: int
        flight_h: int
        alarm_hold_s: int
        temperature_high_mc: int
        temperature_low_mc: int
        temperature_hysteresis_mc: int
        humidity_high_mpct: int
        humidity_low_mpct: int
        humidity_hysteresis_mpct: int
        battery_low_mv: int
        battery_stop_mv: int
        trip_number: int
        trip_start_s: int
        trip_stop_s: int
        trip_interval_s: int
        trip_temperature_high_mc: int
        trip_temperature_low_mc: int
        trip_humidity_high_mpct: int
        trip_humidity_low_mpct: int
        temperature_offset_mc: int
        humidity_offset_mpct: int
        private_ids: int
        tamper: int
        mode: str
        climate: str
        probe: str
        accelerometer: str

else:
    from collections import namedtuple

    Settings = namedtuple(
        "Settings",
        "interval_s still_interval_s alarm_interval_s burst_events burst_interval_ms burst_repeats alarm_burst_s "
        "gnss_interval_s gnss_still_s gnss_cold_timeout_s gnss_hot_timeout_s gnss_settle_s gnss_dark_s gnss_baud "
        "clock_hold_h motion_threshold_mg shock_threshold_mg repl_window_s journal_kb window_unsettled "
        "window_every window_s shelf_interval_s flight_h alarm_hold_s temperature_high_mc temperature_low_mc "
        "temperature_hysteresis_mc humidity_high_mpct humidity_low_mpct humidity_hysteresis_mpct battery_low_mv "
        "battery_stop_mv trip_number trip_start_s trip_stop_s trip_interval_s trip_temperature_high_mc "
        "trip_temperature_low_mc trip_humidity_high_mpct trip_humidity_low_mpct temperature_offset_mc "
        "humidity_offset_mpct private_ids tamper mode climate probe accelerometer".split(),
    )

NUMBERS = 45  # the rest are texts
FORMAT = "<IHBB16s16s%dI" % NUMBERS
_GENERATION_AT = 6
_KEYS_AT, _KEYS_END = 8, 40
_BYTES = struct.calcsize(FORMAT)


class Config:
    """Who the tag is and how it shall behave. watches: samples have to be compared with limits, see `alarms`. id_key
    names the tag where `settings.private_ids` is set. data: all of it as bytes, for RTC memory."""

    def __init__(self, data: bytes) -> None:
        """From the bytes that `encode_config` made, which are known to be intact."""
        values = struct.unpack(FORMAT, data[:_BYTES])
        texts = data[_BYTES:].decode().split("\n")
        numbers = [value - 0x100000000 if value > 0xF0000000 else value for value in values[6:]]
        self.data = data
        self.provisioned: "int | None" = None  # the generation in the provisioning file, where it has just been read
        self.tag_id, self.company_id, self.generation, self.watches, self.beacon_key, self.id_key = values[:6]
        self.board = texts[0]
        self.settings = Settings(*numbers, *texts[1:])


def with_keys(config: Config, generation: int, beacon_key: bytes, id_key: bytes) -> Config:
    """The same tag under the keys of another generation. In a session there is no room to read all of it anew."""
    data = config.data
    head = data[:_GENERATION_AT] + bytes([generation]) + data[_GENERATION_AT + 1 : _KEYS_AT]
    return Config(head + beacon_key + id_key + data[_KEYS_END:])
