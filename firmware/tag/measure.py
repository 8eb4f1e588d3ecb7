"""Reads every sensor of a board once."""

import time

from machine import ADC, I2C, UART, Pin

from tag.sensors import sht4x
from tag.sensors.battery import read_mv
from tag.sensors.gnss import locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.boards import Board
    from tag.sensors.nmea import Fix


def measure(
    board: "Board", gnss_timeout_s: int, gnss_settle_s: int
) -> "tuple[Fix | None, tuple[int | None, int | None], int | None]":
    """(fix, (temperature_mc, humidity_mpct), battery_mv). A sensor that fails costs its own value only: None."""
    power = Pin(board.gnss_power, Pin.OUT, value=1)
    try:
        climate = _climate(board)
        battery_mv = _battery_mv(board)
        fix = _fix(board, gnss_timeout_s, gnss_settle_s)
    finally:
        power.value(0)
    return fix, climate, battery_mv


def _climate(board: "Board") -> "tuple[int | None, int | None]":
    try:
        i2c = I2C(0, scl=Pin(board.i2c_scl), sda=Pin(board.i2c_sda), freq=100000)
        sht4x.start(i2c)
        time.sleep_ms(sht4x.MEASURE_MS)
        climate = sht4x.finish(i2c)
    except OSError as error:
        print("sht4x: %r" % error)
        return None, None
    if None in climate:
        print("sht4x: wrong checksum")
    return climate


def _battery_mv(board: "Board") -> "int | None":
    try:
        return read_mv(ADC(Pin(board.battery_adc), atten=ADC.ATTN_11DB), board.battery_divider)
    except OSError as error:
        print("battery: %r" % error)
        return None


def _fix(board: "Board", timeout_s: int, settle_s: int) -> "Fix | None":
    try:
        # 1 kB holds a whole epoch at 9,600 baud, so nothing is lost while Python is busy elsewhere.
        uart = UART(board.gnss_uart, baudrate=board.gnss_baud, rx=board.gnss_rx, tx=board.gnss_tx, rxbuf=1024)
        try:
            return locate(uart, timeout_s * 1000, settle_s * 1000)
        finally:
            uart.deinit()  # a high TX line would go on feeding the receiver through its input
    except OSError as error:
        print("gnss: %r" % error)
        return None
