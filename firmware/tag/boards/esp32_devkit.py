"""ESP32-DevKitC (ESP32-WROOM-32E). GPIO 16 and 17 are free on WROOM modules, not on WROVER."""

from tag.boards import Board

BOARD = Board(
    number=1,
    i2c_scl=22,
    i2c_sda=21,
    gnss_uart=2,
    gnss_rx=16,
    gnss_tx=17,
    gnss_power=4,
    battery_adc=34,  # ADC1: ADC2 does not work while the radio is on
    battery_divider=(2, 1),
    one_wire=27,
    spi=(2, 18, 23, 19, 5),
    wake="ext1",
    motion=33,  # an RTC pin, as the next one: others cannot wake the chip
    tamper=32,
    led=2,
)
