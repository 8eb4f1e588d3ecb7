"""Watches a twin in virtual time and adds up what its parts did, for `tagfleet.energy`."""

import struct

from tagfleet.energy import Phases
from tagfleet.twin.board import ops
from tagfleet.twin.virtual_time import BOOT_S, VirtualTwin

SLOW_HZ = 80_000_000
ADVERTISING_DELAY_MS = 5.0  # the mean of what a controller adds to each interval


class ChargeMeter:
    """From its making on; one for each twin."""

    def __init__(self, twin: VirtualTwin) -> None:
        self._twin = twin
        self._began_s = twin.now_s
        self._wakes, self._awake_s, self._made = twin.wakes, twin.awake_s, len(twin.made)
        self._radio_starts = 0
        self._radio_s = self._gnss_s = self._events = self._slow_s = 0.0
        self._slow_since_s: float | None = None
        self._radio_on_s: float | None = None
        self._gnss_on_s: float | None = None
        self._advertising: tuple[float, float] | None = None  # since, interval in seconds
        self._erases = 0
        twin.on_operation = self._on_operation

    def phases(self) -> Phases:
        """What was done so far."""
        twin = self._twin
        return Phases(
            twin.now_s - self._began_s,
            twin.wakes - self._wakes,
            len(twin.made) - self._made,
            twin.awake_s - self._awake_s - BOOT_S * (twin.wakes - self._wakes),
            self._radio_starts,
            self._radio_s,
            self._events,
            self._gnss_s,
            self._erases,
            self._slow_s,
        )

    def _on_operation(self, op: int, payload: bytes) -> None:
        now_s = self._twin.now_s
        if op == ops.BLE_ACTIVE:
            self._end_advertising(now_s)
            if payload[0]:
                self._radio_starts += 1
                self._radio_on_s = now_s
            elif self._radio_on_s is not None:
                self._radio_s += now_s - self._radio_on_s
                self._radio_on_s = None
        elif op == ops.BLE_ADVERTISE:
            self._end_advertising(now_s)
            (interval_us,) = struct.unpack_from("<I", payload)
            if interval_us:
                self._advertising = now_s, interval_us / 1e6 + ADVERTISING_DELAY_MS / 1000
        elif op == ops.PIN_WRITE and payload[0] == self._twin.board.buses.wiring.gnss_power:
            if payload[1] and self._gnss_on_s is None:
                self._gnss_on_s = now_s
            elif not payload[1] and self._gnss_on_s is not None:
                self._gnss_s += now_s - self._gnss_on_s
                self._gnss_on_s = None
        elif op == ops.FREQUENCY:
            if self._slow_since_s is not None:
                self._slow_s += now_s - self._slow_since_s
            self._slow_since_s = now_s if struct.unpack("<I", payload)[0] <= SLOW_HZ else None
        elif op == ops.HELLO:
            self._slow_since_s = None
        elif op == ops.FLASH and payload[0] == ops.FLASH_ERASE:
            self._erases += 1

    def _end_advertising(self, now_s: float) -> None:
        if self._advertising is not None:
            since_s, interval_s = self._advertising
            self._events += (now_s - since_s) / interval_s
            self._advertising = None
