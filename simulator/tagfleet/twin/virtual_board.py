"""The hardware of one twin: answers what the board's MicroPython modules ask. Pure: `now_s` comes in.

Holds all that outlives a wake: RTC memory and clock (until power is lost) and NVS (for good). The flash is a file,
which the board writes itself after asking here.
"""

import json
import struct
from collections.abc import Callable
from typing import NamedTuple

from tagfleet.twin.board import ops
from tagfleet.twin.buses import HANDLERS as BUS_HANDLERS
from tagfleet.twin.buses import Buses
from tagfleet.twin.chips.bus import Nack
from tagfleet.twin.nimble import Nimble, Sending
from tagfleet.twin.power import PowerSupply
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.truth import Delivered
from tagwire.fields import Reading

PWRON_RESET = 1  # MicroPython's machine.reset_cause() on an ESP32
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

CLOCK_HOLD_H = 12  # the firmware's default
EXT1_WAKE = 3  # machine.wake_reason()
TIMER_WAKE = 4
EPOCH_2000_S = 946_684_800  # where an ESP32's clock starts


class Halt(NamedTuple):
    """The processor stops. sleep_s: until its next wake, None for ever; cause: of the reset that ends it."""

    sleep_s: float | None
    cause: int


class Advertising(NamedTuple):
    """interval_ms is None when it stops. reading: the truth of a wake's first advertising, if it read its sensors.
    connectable: a central may connect while it lasts."""

    interval_ms: float | None
    adv_data: bytes
    reading: Reading | None
    connectable: bool = False


class VirtualBoard:
    """One board. `on_advertising` is called for each start and stop of advertising.

    buses, supply, radio: the parts, for faults. unique_id: 6 bytes, as burnt in by its maker. virtual_time: what the
    tag sleeps while awake passes at once, see `virtual_time`; is_visited: then a hub may come all the same. frozen: a
    folder of this machine with modules that stand before those in flash, as in a MicroPython that was built with the
    application; empty: none.
    """

    def __init__(
        self,
        spec: TwinSpec,
        flash_path: str,
        on_advertising: Callable[[Advertising], None],
        supply: PowerSupply,
        radio: Nimble | None = None,
    ) -> None:
        self.supply = supply
        self.radio = radio or Nimble()
        self.virtual_time = False
        self.is_visited = False
        self.frozen = ""
        self.nvs_works = True
        self.radio_works = True
        self.flash_works = True  # it reads even if not
        self.nvs: dict[bytes, bytes] = {}
        self.unique_id = b"\x02\x00" + spec.provision.tag_id.to_bytes(4, "big")  # a chip's MAC: locally administered
        self._flash_path = flash_path
        self._on_advertising = on_advertising
        hold_h = spec.provision.settings.get("clock_hold_h", CLOCK_HOLD_H)
        self._delivered = Delivered(2, int(hold_h) * 3600)
        self.buses = Buses(spec, self._delivered)
        self._wake_reason = 0
        self._bites_s: float | None = None  # when the watchdog does
        self.power_on_memory = b""  # what RTC memory reads when power has come
        self._rtc_memory = b""
        self._rtc_offset_s = 0.0  # of the chip's clock to the world's
        self._rtc_stopped = True  # without power; it starts with the next wake
        self._cause = PWRON_RESET

    def stop(self) -> None:
        """The processor has stopped, whatever stopped it: a sleep, a reset, a crash, a power cut."""
        self.radio.power_off()
        self._on_advertising(Advertising(None, b"", None))

    def wake(self, cause: int) -> None:
        """Before the processor starts; with PWRON_RESET all that power kept is gone."""
        self._cause = cause
        self._delivered.clear()
        self.stop()
        self._bites_s = None
        self._wake_reason = 0
        if cause == DEEPSLEEP_RESET:
            self._wake_reason = EXT1_WAKE if self.buses.wakes() else TIMER_WAKE
        self.buses.wake_pins = ()
        if cause == PWRON_RESET:
            self._rtc_memory = self.power_on_memory
            self._rtc_stopped = True
            self._delivered.power_lost()
            self.buses.power_lost()

    def step_clock(self, seconds: float) -> None:
        """A fault: the chip's clock jumps, so far that the tag notices."""
        self._rtc_offset_s += seconds
        self._delivered.clock_jumped()

    def handle(self, op: int, payload: bytes, now_s: float) -> tuple[int, bytes] | Halt:
        """The (error number or 0, answer) to one request. Raises struct.error or KeyError for what no board asks."""
        if self._bites_s is not None and now_s > self._bites_s:
            return Halt(0, WDT_RESET)
        try:
            if op in BUS_HANDLERS:
                return BUS_HANDLERS[op](self.buses, payload, now_s)
            return _HANDLERS[op](self, payload, now_s)
        except Nack:
            return ops.ENODEV, b""

    def _hello(self, _payload: bytes, now_s: float) -> tuple[int, bytes]:
        if self._rtc_stopped:
            self._rtc_stopped = False
            self._rtc_offset_s = EPOCH_2000_S - now_s
        answer = {
            "flash": self._flash_path,
            "reset_cause": self._cause,
            "wake_reason": self._wake_reason,
            "virtual_time": self.virtual_time,
            "is_visited": self.is_visited,
            "frozen": self.frozen,
            "unique_id": self.unique_id.hex(),
        }
        return 0, json.dumps(answer).encode()

    def _rtc_read(self, _payload: bytes, now_s: float) -> tuple[int, bytes]:
        unix_us = int((now_s + self._rtc_offset_s) * 1_000_000)
        self._delivered.clock(unix_us // 1_000_000)
        return 0, struct.pack("<q", unix_us)

    def _rtc_set(self, payload: bytes, now_s: float) -> tuple[int, bytes]:
        unix_s = struct.unpack("<q", payload)[0] / 1_000_000
        self._rtc_offset_s = unix_s - now_s
        self._delivered.clock_set(int(unix_s))
        return 0, b""

    def _rtc_load(self, _payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return 0, self._rtc_memory

    def _rtc_store(self, payload: bytes, _now_s: float) -> tuple[int, bytes] | Halt:
        if self.supply.fails_now():
            return Halt(0, PWRON_RESET)
        self._rtc_memory = payload
        return 0, b""

    def _nvs_get(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        if not self.nvs_works:
            return ops.EIO, b""
        value = self.nvs.get(payload)
        return (ops.NVS_NOT_FOUND, b"") if value is None else (0, value)

    def _nvs_set(self, payload: bytes, _now_s: float) -> tuple[int, bytes] | Halt:
        if not self.nvs_works:
            return ops.EIO, b""
        namespace, key, value = payload.split(b"\0", 2)
        fails = self.supply.fails_now()
        if not fails or self.supply.done == 1.0:
            self.nvs[namespace + b"\0" + key] = value
        return Halt(0, PWRON_RESET) if fails else (0, b"")

    def _nvs_erase(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return (ops.NVS_NOT_FOUND, b"") if self.nvs.pop(payload, None) is None else (0, b"")

    def _flash(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        if not self.flash_works:
            return ops.EIO, b""
        _operation, _block, length = struct.unpack("<BII", payload)
        if self.supply.fails_now():
            return 0, struct.pack("<IB", int(length * self.supply.done), 1)
        return 0, struct.pack("<IB", length, 0)

    def _power_failed(self, _payload: bytes, _now_s: float) -> Halt:
        return Halt(0, PWRON_RESET)

    def _echo(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return 0, payload

    def _ignored(self, _payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return 0, b""

    def _watchdog(self, payload: bytes, now_s: float) -> tuple[int, bytes]:
        self._bites_s = now_s + struct.unpack("<I", payload)[0] / 1000
        return 0, b""

    def _ble_active(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        if payload[0] and not self.radio_works:
            return ops.EIO, b""
        self._on_advertising(Advertising(None, b"", None))
        self.radio.switch(bool(payload[0]))
        return 0, b""

    def _ble_advertise(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        interval_us, connectable = struct.unpack_from("<IB", payload)
        if not interval_us:
            self._on_advertising(Advertising(None, b"", None))
            return 0, b""
        reading = self._delivered.reading()
        self._on_advertising(Advertising(interval_us / 1000, payload[5:], reading, bool(connectable)))
        self._delivered.clear()
        return 0, b""

    def _ble_config(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        what, value = payload[0], payload[1:]
        if what == ops.BLE_NAME:
            self.radio.name = value
        elif what == ops.BLE_MTU:
            self.radio.mtu = int.from_bytes(value, "little")
        elif what == ops.BLE_ADDRESS_MODE:
            self.radio.antenna.set_address_mode(value[0])
        return 0, self.radio.antenna.address()

    def _ble_serve(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        handles = self.radio.register(json.loads(payload))
        return (handles, b"") if isinstance(handles, int) else (0, json.dumps(handles).encode())

    def _ble_value(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        (handle,) = struct.unpack_from("<H", payload)
        return self.radio.set_value(handle, payload[2:]), b""

    def _ble_notify(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        connection, handle, indication = struct.unpack_from("<HHB", payload)
        return self.radio.notify(Sending(connection, handle, payload[5:], bool(indication))), b""

    def _ble_disconnect(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return self.radio.disconnect(*struct.unpack("<H", payload)), b""

    def _ble_event(self, _payload: bytes, _now_s: float) -> tuple[int, bytes]:
        return 0, self.radio.next_event()

    def _ble_allow(self, payload: bytes, _now_s: float) -> tuple[int, bytes]:
        self.radio.answer_read(payload[0])
        return 0, b""

    def _deepsleep(self, payload: bytes, _now_s: float) -> Halt:
        (sleep_ms,) = struct.unpack("<q", payload)
        return Halt(None if sleep_ms < 0 else sleep_ms / 1000, DEEPSLEEP_RESET)

    def _reset(self, payload: bytes, _now_s: float) -> Halt:
        return Halt(0, payload[0])


_HANDLERS: dict[int, Callable[[VirtualBoard, bytes, float], tuple[int, bytes] | Halt]] = {
    ops.HELLO: VirtualBoard._hello,
    ops.IN_STEP: VirtualBoard._echo,
    ops.UART_WRITE: VirtualBoard._ignored,
    ops.FREQUENCY: VirtualBoard._ignored,
    ops.WATCHDOG: VirtualBoard._watchdog,
    ops.RTC_LOAD: VirtualBoard._rtc_load,
    ops.RTC_STORE: VirtualBoard._rtc_store,
    ops.RTC_READ: VirtualBoard._rtc_read,
    ops.RTC_SET: VirtualBoard._rtc_set,
    ops.NVS_GET: VirtualBoard._nvs_get,
    ops.NVS_SET: VirtualBoard._nvs_set,
    ops.NVS_ERASE: VirtualBoard._nvs_erase,
    ops.FLASH: VirtualBoard._flash,
    ops.POWER_FAILED: VirtualBoard._power_failed,
    ops.BLE_ACTIVE: VirtualBoard._ble_active,
    ops.BLE_ADVERTISE: VirtualBoard._ble_advertise,
    ops.BLE_CONFIG: VirtualBoard._ble_config,
    ops.BLE_SERVE: VirtualBoard._ble_serve,
    ops.BLE_VALUE: VirtualBoard._ble_value,
    ops.BLE_NOTIFY: VirtualBoard._ble_notify,
    ops.BLE_DISCONNECT: VirtualBoard._ble_disconnect,
    ops.BLE_EVENT: VirtualBoard._ble_event,
    ops.BLE_WAIT: VirtualBoard._ignored,
    ops.BLE_ALLOW: VirtualBoard._ble_allow,
    ops.DEEPSLEEP: VirtualBoard._deepsleep,
    ops.RESET: VirtualBoard._reset,
}
