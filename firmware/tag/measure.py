"""Reads every sensor of a board once. A sensor that fails costs its own value only, and is named.

A driver of `tag.sensors` for temperature and humidity has `start(bus)`, `MEASURE_MS`, `finish(bus)`, which gives
(milli-degree Celsius, milli-percent), None for what it could not tell or does not measure, and `BUS`: what it hangs on.
Both functions raise OSError when it does not answer.
"""

import time

from machine import ADC, I2C, Pin

from tag.sensors.battery import read_mv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tag.boards import Board
    from tag.config import Settings
    from tag.sensors.nmea import Fix

    Climate = tuple[int | None, int | None]

# Bits of State.sensors and State.faults
CLIMATE = 1
PROBE = 2
BATTERY = 4
GNSS = 8
ACCELEROMETER = 16
SEARCH_HZ = 80_000_000  # the slowest that leaves a UART its clock: a search is nothing but waiting
SILENT_S = 3  # a receiver speaks once a second
TRIES = 2  # a disturbed transfer is no broken sensor


def read_climate(board: "Board", settings: "Settings") -> "tuple[Climate, int]":
    """((temperature_mc, humidity_mpct), faults). A probe's temperature stands before the climate sensor's."""
    faults = 0
    temperature_mc = humidity_mpct = None
    if settings.climate != "none":
        temperature_mc, humidity_mpct = _read(board, settings.climate)
        # All of them measure both; a driver gives None for a word whose checksum was wrong.
        if temperature_mc is None or humidity_mpct is None:
            faults |= CLIMATE
    if settings.probe != "none":
        temperature_mc = _read(board, settings.probe)[0]
        if temperature_mc is None:
            faults |= PROBE
    if temperature_mc is not None:
        temperature_mc += settings.temperature_offset_mc
    if humidity_mpct is not None:
        humidity_mpct = min(max(humidity_mpct + settings.humidity_offset_mpct, 0), 100000)
    return (temperature_mc, humidity_mpct), faults


def read_battery(board: "Board") -> "tuple[int | None, int]":
    """(battery_mv, faults)."""
    try:
        battery_mv = read_mv(ADC(Pin(board.battery_adc), atten=ADC.ATTN_11DB), board.battery_divider)
    except OSError as error:
        print("battery: %r" % error)
        battery_mv = None
    return battery_mv, BATTERY if battery_mv is None else 0


def read_gnss(
    board: "Board", settings: "Settings", timeout_s: int, feed: "Callable[[], None]"
) -> "tuple[Fix | None, int]":
    """(fix, faults): no fix is no fault, a receiver that says nothing readable is one."""
    from machine import UART, freq

    from tag.sensors.gnss import locate

    full_hz = freq()
    freq(SEARCH_HZ)
    try:
        # 2 kB hold a whole epoch, which a fast line brings at once: nothing is lost while Python is busy elsewhere.
        uart = UART(board.gnss_uart, baudrate=settings.gnss_baud, rx=board.gnss_rx, tx=board.gnss_tx, rxbuf=2048)
        try:
            fix, heard = locate(
                uart, timeout_s * 1000, settings.gnss_settle_s * 1000, settings.gnss_dark_s * 1000, feed
            )
        finally:
            uart.deinit()  # a high TX line would go on feeding the receiver through its input
    except OSError as error:
        print("gnss: %r" % error)
        return None, GNSS
    finally:
        freq(full_hz)
    return fix, 0 if heard or timeout_s < SILENT_S else GNSS


def sensors_of(settings: "Settings", gnss: bool) -> int:
    """The bits of the sensors that were asked in this cycle."""
    sensors = BATTERY | (GNSS if gnss else 0)
    if settings.climate != "none":
        sensors |= CLIMATE
    if settings.probe != "none":
        sensors |= PROBE
    return sensors


def open_i2c(board: "Board") -> I2C:
    """The board's I2C bus."""
    return I2C(0, scl=Pin(board.i2c_scl), sda=Pin(board.i2c_sda), freq=100000)


def open_bus(board: "Board", kind: str) -> "Any":
    if kind == "i2c":
        return open_i2c(board)
    if kind == "pin":
        return Pin(board.one_wire)
    from tag.sensors.spi import open_spi

    return open_spi(board.spi)


def _read(board: "Board", name: str) -> "Climate":
    driver = __import__("tag.sensors." + name, None, None, ("start",))
    climate: "Climate" = (None, None)
    for _ in range(TRIES):
        try:
            bus = open_bus(board, driver.BUS)
            driver.start(bus)
            time.sleep_ms(driver.MEASURE_MS)
            climate = driver.finish(bus)
            if climate[0] is not None:
                return climate
            print("%s: wrong checksum" % name)
        except OSError as error:
            print("%s: %r" % (name, error))
            climate = (None, None)
    return climate
