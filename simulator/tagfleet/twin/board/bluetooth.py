"""`bluetooth` as on an ESP32, for a peripheral: advertising and a GATT server. MicroPython.

As on the chip: the handler runs while the program waits or asks the board for anything, never within itself; what an
event brings by reference is gone when the handler returns; a handler that raises is not called again. `rxbuf` cannot be
set, values hold 20 bytes until `gatts_set_buffer`, and everything registered is gone after `active(False)`.
"""

import binascii
import errno
import json
import struct
import sys
from time import ticks_add, ticks_diff, ticks_ms

import hostlink
from hostlink import call
from ops import (
    BLE_ACTIVE,
    BLE_ADDRESS,
    BLE_ADDRESS_MODE,
    BLE_ADVERTISE,
    BLE_ALLOW,
    BLE_CONFIG,
    BLE_DISCONNECT,
    BLE_EVENT,
    BLE_MTU,
    BLE_NAME,
    BLE_NOTIFY,
    BLE_SERVE,
    BLE_VALUE,
    BLE_WAIT,
)

FLAG_BROADCAST = 0x0001
FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020

VALUE_BYTES = 20  # MP_BLUETOOTH_DEFAULT_ATTR_LEN
NAME_BYTES_MAX = 31  # CONFIG_BT_NIMBLE_GAP_DEVICE_NAME_MAX_LEN
ADDRESS_RANDOM = 1
_IRQ_GATTS_WRITE = 3
_IRQ_GATTS_READ_REQUEST = 4
_NUMBERS = {2: "<HB6s", 1: "<HB6s", 3: "<HH", 4: "<HH", 20: "<HHB", 21: "<HH", 27: "<HHHHH"}


class UUID:
    """A 16-bit number, or a string of 36 characters."""

    def __init__(self, value):
        if isinstance(value, int):
            self._text = "%04x" % value
        else:
            digits = value.replace("-", "")
            if len(digits) != 32:
                raise ValueError("invalid UUID")
            binascii.unhexlify(digits)
            self._text = value.lower()

    def __eq__(self, other):
        return isinstance(other, UUID) and self._text == other._text

    def __hash__(self):
        return hash(self._text)

    def __repr__(self):
        return "UUID(%r)" % self._text


class _Value:
    """A characteristic's value: how much it holds, and whether writes are put behind each other."""

    def __init__(self):
        self.room = VALUE_BYTES
        self.append = False
        self.data = b""

    def write(self, data):
        """As NimBLE takes a peer's write: what has no room is left out, silently."""
        self.data = ((self.data if self.append else b"") + data)[: self.room]


class BLE:
    """One radio, whoever asks for it, as on the chip."""

    _the_radio = None

    def __new__(cls):
        if cls._the_radio is None:
            cls._the_radio = object.__new__(cls)
            cls._the_radio._start()
        return cls._the_radio

    def _start(self):
        self._on = False
        self._handler = None
        self._in_handler = False
        self._values = {}
        self._name = b"MPY ESP32"
        self._mtu = 23
        self._adv_data = b""
        hostlink.on_radio_event = self._deliver_events

    def _must_be_on(self):
        if not self._on:
            raise OSError(errno.ENODEV)

    def active(self, on=None):
        if on is not None and bool(on) != self._on:
            call(BLE_ACTIVE, bytes([bool(on)]))
            self._on = bool(on)
            self._values = {}
            self._mtu = 23
            self._adv_data = b""
            hostlink.wait_ms = None
        return self._on

    def config(self, *what, **settings):
        if settings:
            if what:
                raise TypeError("can't specify pos and kw args")
            for name in settings:
                self._configure(name, settings[name])
            return None
        if len(what) != 1:
            raise TypeError("must query one param")
        if what[0] == "gap_name":
            return self._name
        if what[0] == "mac":
            self._must_be_on()
            return (ADDRESS_RANDOM, call(BLE_CONFIG, bytes([BLE_ADDRESS])))
        if what[0] == "mtu":
            self._must_be_on()
            return self._mtu
        raise ValueError("unknown config param")

    def _configure(self, name, value):
        if name == "gap_name":
            value = value.encode() if isinstance(value, str) else bytes(value)
            if len(value) > NAME_BYTES_MAX:
                raise OSError(errno.EINVAL)
            call(BLE_CONFIG, bytes([BLE_NAME]) + value)
            self._name = value
        elif name == "mtu":
            self._must_be_on()
            if not 23 <= value <= 527:
                raise OSError(errno.EINVAL)
            call(BLE_CONFIG, struct.pack("<BH", BLE_MTU, value))
            self._mtu = value
        elif name == "addr_mode":
            self._must_be_on()
            call(BLE_CONFIG, bytes([BLE_ADDRESS_MODE, value]))
        elif name not in ("bond", "mitm", "io", "le_secure"):
            raise ValueError("unknown config param")

    def irq(self, handler):
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        self._handler = handler

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        self._must_be_on()
        if interval_us is None:
            call(BLE_ADVERTISE, struct.pack("<IB", 0, 0))
            return
        if adv_data is not None:
            if len(adv_data) > 31:
                raise OSError(errno.EINVAL)
            self._adv_data = bytes(adv_data)
        call(BLE_ADVERTISE, struct.pack("<IB", interval_us, connectable) + self._adv_data)

    def gap_disconnect(self, conn_handle):
        self._must_be_on()
        try:
            call(BLE_DISCONNECT, struct.pack("<H", conn_handle))
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            return False
        return True

    def gatts_register_services(self, services):
        self._must_be_on()
        wanted = [
            [uuid._text, [[one[0]._text, one[1]] for one in characteristics]] for uuid, characteristics in services
        ]
        handles = json.loads(call(BLE_SERVE, json.dumps(wanted).encode()))
        self._values = {handle: _Value() for one in handles for handle in one}
        hostlink.wait_ms = self._wait_ms  # from now on something can come
        return tuple([tuple(one) for one in handles])

    def _value(self, value_handle):
        self._must_be_on()
        if value_handle not in self._values:
            raise OSError(errno.EINVAL)
        return self._values[value_handle]

    def gatts_read(self, value_handle):
        value = self._value(value_handle)
        data = value.data
        if value.append:
            value.data = b""
        return data

    def gatts_write(self, value_handle, data, send_update=False):
        value = self._value(value_handle)
        value.data = bytes(data)
        value.room = max(value.room, len(data))
        call(BLE_VALUE, struct.pack("<H", value_handle) + value.data)
        return len(data)

    def gatts_set_buffer(self, value_handle, len, append=False):
        value = self._value(value_handle)
        value.room = len
        value.append = append
        value.data = b""

    def gatts_notify(self, conn_handle, value_handle, data=None):
        self._send(conn_handle, value_handle, data, 0)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        self._send(conn_handle, value_handle, data, 1)

    def _send(self, conn_handle, value_handle, data, indication):
        value = self._value(value_handle)
        data = value.data if data is None else bytes(data)
        call(BLE_NOTIFY, struct.pack("<HHB", conn_handle, value_handle, indication) + data)

    def _wait_ms(self, wait_ms):
        """Sleep, with the handler called as events come; in virtual time, at the end of the sleep."""
        if hostlink.slept_us is not None:
            hostlink.sleep_us(wait_ms * 1000)
            if hostlink.is_visited:
                call(BLE_WAIT, struct.pack("<I", 0))
            return
        end_ms = ticks_add(ticks_ms(), wait_ms)
        while True:
            left_ms = ticks_diff(end_ms, ticks_ms())
            if left_ms <= 0:
                return
            call(BLE_WAIT, struct.pack("<I", left_ms))

    def _deliver_events(self):
        if self._in_handler:
            return  # as with the scheduler locked: events wait until the handler has returned
        self._in_handler = True
        try:
            while True:
                event = call(BLE_EVENT)
                if not event:
                    return
                self._deliver(event)
        finally:
            self._in_handler = False

    def _deliver(self, event):
        code = event[0]
        layout = _NUMBERS[code]
        numbers = list(struct.unpack(layout, event[1 : 1 + struct.calcsize(layout)]))
        lent = None
        if code == _IRQ_GATTS_WRITE:
            if numbers[1] in self._values:
                self._values[numbers[1]].write(event[5:])
        elif code < _IRQ_GATTS_WRITE:
            lent = bytearray(numbers[2])
            numbers[2] = memoryview(lent)
        result = None
        if self._handler is not None:
            try:
                result = self._handler(code, tuple(numbers))
            except BaseException as error:
                print("Unhandled exception in IRQ callback handler")
                sys.print_exception(error)
                self._handler = None
        if lent is not None:
            for i in range(len(lent)):
                lent[i] = 0xA5  # on the chip this memory is somebody else's by now
        if code == _IRQ_GATTS_READ_REQUEST:
            call(BLE_ALLOW, bytes([result if isinstance(result, int) else 0]))
