"""`esp32` as on an ESP32, as far as a tag uses it. MicroPython."""

from hostlink import call
from ops import NVS_ERASE, NVS_GET, NVS_SET, WAKE_ON

WAKEUP_ALL_LOW = 0
WAKEUP_ANY_HIGH = 1


def wake_on_ext1(pins, level):
    if level != WAKEUP_ANY_HIGH:
        raise ValueError("a twin is woken by a high level only")
    call(WAKE_ON, bytes([pin.id for pin in pins]))


wake_on_gpio = wake_on_ext1


class NVS:
    """Values are durable with `commit`, as on the chip; until then they live in this object alone."""

    def __init__(self, namespace):
        self._namespace = namespace.encode()
        self._pending = {}

    def get_blob(self, key, buffer):
        data = self._pending.get(key)
        if data is None:
            data = call(NVS_GET, self._namespace + b"\0" + key.encode())
        if len(data) > len(buffer):
            raise OSError(-0x110C)  # ESP_ERR_NVS_INVALID_LENGTH
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, value):
        self._pending[key] = bytes(value)

    def erase_key(self, key):
        self._pending.pop(key, None)
        call(NVS_ERASE, self._namespace + b"\0" + key.encode())

    def commit(self):
        for key, value in self._pending.items():
            call(NVS_SET, self._namespace + b"\0" + key.encode() + b"\0" + value)
        self._pending = {}
