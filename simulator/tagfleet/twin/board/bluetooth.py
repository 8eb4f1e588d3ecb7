"""`bluetooth` as on an ESP32, as far as a tag uses it: legacy advertising. MicroPython."""

import errno
import struct

from hostlink import call
from ops import BLE_ACTIVE, BLE_ADVERTISE


class BLE:
    """One radio, whoever asks for it, as on the chip."""

    _the_radio = None

    def __new__(cls):
        if cls._the_radio is None:
            cls._the_radio = object.__new__(cls)
            cls._the_radio._on = False
        return cls._the_radio

    def active(self, on=None):
        if on is not None and bool(on) != self._on:
            call(BLE_ACTIVE, bytes([bool(on)]))
            self._on = bool(on)
        return self._on

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        if not self._on:
            raise OSError(errno.ENODEV)
        if interval_us is None:
            call(BLE_ADVERTISE, struct.pack("<IB", 0, 0))
            return
        if len(adv_data) > 31:
            raise OSError(errno.EINVAL)
        call(BLE_ADVERTISE, struct.pack("<IB", interval_us, connectable) + adv_data)
