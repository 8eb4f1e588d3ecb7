"""The words between a virtual board (MicroPython) and its host (CPython), over one socket pair.

The board asks `<BH` (op, length) and that many bytes; the host answers `<iHB` (error number or 0, length, whether a
radio event waits) and that many bytes. What only tells the host something (UNANSWERED) gets no answer. Neither do
DEEPSLEEP, RESET and what loses power: the host ends the process, and takes nothing that it was asked or told later.
"""

# -> JSON: {"flash": path, "reset_cause": n, "wake_reason": n, "unique_id": hexadecimal, "virtual_time": bool,
# "is_visited": bool, "frozen": path}
HELLO = 1
I2C_WRITE = 2  # <B address, data
I2C_READ = 3  # <BH address, length -> data
UART_READ = 4  # <BH uart, at most -> data
UART_WRITE = 5  # <B uart, data
ADC_READ = 6  # <B pin -> <I microvolts
PIN_WRITE = 7  # <BB pin, level
RTC_LOAD = 8  # -> data
RTC_STORE = 9  # data
RTC_SET = 10  # <q Unix microseconds
NVS_GET = 11  # namespace NUL key -> data
NVS_SET = 12  # namespace NUL key NUL data
FLASH = 13  # <BII operation, block, bytes -> <IB bytes to do, whether power fails then
BLE_ACTIVE = 14  # <B on
BLE_ADVERTISE = 15  # <IB interval in us (0: stop), connectable, AdvData
DEEPSLEEP = 16  # <q milliseconds, -1: for ever
RESET = 17  # <B the cause that the next run sees

RTC_READ = 20  # -> <q Unix microseconds
NVS_ERASE = 19  # namespace NUL key

SLEPT = 21  # <I microseconds of virtual time have passed on the board
PIN_READ = 22  # <B pin -> <B level
WATCHDOG = 23  # <I milliseconds until it bites, from now on
WAKE_ON = 24  # <B pin each: a high level ends the next deep sleep
SPI_WRITE = 25  # data, to whichever chip is selected
SPI_READ = 26  # <H length -> data
ONE_WIRE_RESET = 27  # -> <B whether a device is present
ONE_WIRE_WRITE = 28  # data
ONE_WIRE_READ = 29  # <H length -> data
DHT_READ = 30  # -> five bytes
FREQUENCY = 31  # <I Hz that the processor runs at from now on

BLE_CONFIG = 40  # <B BLE_*, value -> the address, most significant byte first
BLE_SERVE = 41  # JSON: [[UUID, [[UUID, flags], ...]], ...] -> JSON: [[value handle, ...], ...]
BLE_VALUE = 42  # <H value handle, what peers read from now on
BLE_NOTIFY = 43  # <HHB connection, value handle, whether an indication, value
BLE_DISCONNECT = 44  # <H connection
BLE_EVENT = 45  # -> <B event code, <HB6s, <HH, ... (nimble.py); nothing when there is none
BLE_WAIT = 46  # <I milliseconds: answered when an event waits, or after that time
BLE_ALLOW = 47  # <B 0 or an ATT error: the answer to the earliest read request

IN_STEP = 48  # a mark -> the same mark: what came before it was an answer that nobody waits for any more

BLE_NAME = 0  # of BLE_CONFIG: GAP's device name
BLE_MTU = 1  # <H the preferred MTU
BLE_ADDRESS_MODE = 2  # <B
BLE_ADDRESS = 3  # only ask

UNANSWERED = (SLEPT, PIN_WRITE, RTC_STORE, WATCHDOG, FREQUENCY)

FLASH_PROGRAM = 0
FLASH_ERASE = 1
POWER_FAILED = 18  # the board has done its part of the torn operation

EIO = 5
ETIMEDOUT = 116
ENODEV = 19  # what an ESP32's I2C says when no device acknowledges
NVS_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND, negative as MicroPython raises it
