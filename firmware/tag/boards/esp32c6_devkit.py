"""ESP32-C6-DevKitC-1. The console is on UART 0 or USB, so the receiver gets UART 1. Its RGB LED is no plain one."""

from tag.boards import Board

BOARD = Board(
    number=4,
    i2c_scl=7,
    i2c_sda=6,
    gnss_uart=1,
    gnss_rx=20,
    gnss_tx=21,
    gnss_power=10,
    battery_adc=2,
    battery_divider=(2, 1),
    one_wire=3,
    spi=(1, 18, 19, 22, 23),
    wake="ext1",
    motion=0,  # 0 to 7 can wake the chip
    tamper=1,
    led=None,
)
