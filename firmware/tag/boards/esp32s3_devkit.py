"""ESP32-S3-DevKitC-1. The console is on UART 0 or USB, so the receiver gets UART 1. Its RGB LED is no plain one."""

from tag.boards import Board

BOARD = Board(
    number=3,
    i2c_scl=9,
    i2c_sda=8,
    gnss_uart=1,
    gnss_rx=18,
    gnss_tx=17,
    gnss_power=10,
    battery_adc=4,  # ADC1: ADC2 does not work while the radio is on
    battery_divider=(2, 1),
    one_wire=5,
    spi=(1, 12, 11, 13, 14),
    wake="ext1",
    motion=2,  # 0 to 21 can wake the chip
    tamper=1,
    led=None,
)
