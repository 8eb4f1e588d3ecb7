"""ESP32-C3-DevKitC-02. The console is on UART 0 or USB, so the receiver gets UART 1. Its RGB LED is no plain one."""

from tag.boards import Board

BOARD = Board(
    number=2,
    i2c_scl=6,
    i2c_sda=5,
    gnss_uart=1,
    gnss_rx=4,
    gnss_tx=7,
    gnss_power=10,
    battery_adc=3,
    battery_divider=(2, 1),
    one_wire=2,
    spi=(1, 18, 8, 19, 9),
    wake="gpio",
    motion=0,  # 0 to 5 can wake the chip
    tamper=1,
    led=None,
)
