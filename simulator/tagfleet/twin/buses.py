"""What hangs on a virtual board's pins and buses. Pure: `now_s` comes in.

Which chips there are follows from the tag's settings, as whoever soldered it did.
"""

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from tagfleet.twin.board import ops
from tagfleet.twin.chips.aht20 import Aht20
from tagfleet.twin.chips.bme280 import Bme280
from tagfleet.twin.chips.bus import Nack
from tagfleet.twin.chips.dht22 import Dht22
from tagfleet.twin.chips.ds18b20 import Ds18b20
from tagfleet.twin.chips.lis2dh12 import ADDRESS as LIS2DH12
from tagfleet.twin.chips.lis2dh12 import Lis2dh12
from tagfleet.twin.chips.max31865 import Max31865
from tagfleet.twin.chips.sht3x import Sht3x
from tagfleet.twin.chips.sht4x import Sht4x
from tagfleet.twin.receiver import Receiver
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.truth import Delivered
from tagfleet.twin.wiring import wiring

CLIMATE: dict[str, tuple[Any, int | None]] = {
    "sht4x": (Sht4x, 0x44),
    "sht3x": (Sht3x, 0x44),
    "aht20": (Aht20, 0x38),
    "bme280": (Bme280, 0x76),
    "dht22": (Dht22, None),
}
PROBES: dict[str, Any] = {"ds18b20": Ds18b20, "max31865": Max31865}
Answer = tuple[int, bytes]


class Buses:
    """climate, probe, accelerometer, receiver: the parts, for faults; None where the tag has none. stuck: SDA is held
    low by something: no transfer comes to an end. open_box: the tamper switch is open. battery_present: False leaves
    the battery's pin at 0 V; battery_mv: in place of the world's. wake_pins: a high level on one ends a deep sleep.
    pin_changes: how often each output has changed its level.
    """

    def __init__(self, spec: TwinSpec, delivered: Delivered) -> None:
        settings = spec.provision.settings

        def measure(now_s: float) -> tuple[float, float]:
            surroundings = spec.world(now_s)
            return surroundings.temperature_c, surroundings.humidity_pct

        def measure_probe(now_s: float) -> tuple[float, float]:
            return (spec.probe or measure)(now_s)

        make, address = CLIMATE.get(str(settings.get("climate", "sht4x")), (None, None))
        self.climate: Any = None if make is None else make(measure)
        probe = PROBES.get(str(settings.get("probe", "none")))
        self.probe: Any = None if probe is None else probe(measure_probe)
        self.accelerometer = Lis2dh12() if settings.get("accelerometer") == "lis2dh12" else None
        self.receiver = Receiver(spec.world, spec.provision.tag_id, baud=int(settings.get("gnss_baud", 9600)))
        self.stuck = False
        self.open_box = False
        self.battery_present = True
        self.battery_mv: float | None = None
        self.wake_pins: tuple[int, ...] = ()
        self.pin_changes: Counter[int] = Counter()
        self._levels: dict[int, int] = {}
        self.wiring = wiring(spec.provision.board)
        self._spec = spec
        self._delivered = delivered
        self._i2c: dict[int, Any] = {}
        if address is not None and self.climate is not None:
            self._i2c[address] = self.climate
        if self.accelerometer is not None:
            self._i2c[LIS2DH12] = self.accelerometer

    def power_lost(self) -> None:
        """The board has no power; neither have its parts."""
        self.receiver.power(False, 0)
        self.wake_pins = ()
        if self.accelerometer is not None:
            self.accelerometer.power_on()

    def level(self, pin: int) -> bool:
        """Of an input."""
        if pin == self.wiring.motion:
            return self.accelerometer is not None and self.accelerometer.int1
        return pin == self.wiring.tamper and self.open_box

    def wakes(self) -> bool:
        """Whether a pin ends the sleep now."""
        return any(self.level(pin) for pin in self.wake_pins)

    def _chip(self, address: int) -> Any:
        if address not in self._i2c:
            raise Nack
        return self._i2c[address]

    def i2c_write(self, payload: bytes, now_s: float) -> Answer:
        """<B address, data."""
        if self.stuck:
            return ops.ETIMEDOUT, b""
        self._chip(payload[0]).write(payload[1:], now_s)
        return 0, b""

    def i2c_read(self, payload: bytes, now_s: float) -> Answer:
        """<BH address, length."""
        address, length = struct.unpack("<BH", payload)
        if self.stuck:
            return ops.ETIMEDOUT, b""
        chip = self._chip(address)
        answer = chip.read(length, now_s)
        if chip is self.accelerometer:
            if self.accelerometer.answered is not None:
                self._delivered.motion(self.accelerometer.answered)
        elif chip.told is not None:
            self._delivered.climate(chip.told)
        return 0, answer

    def dht_read(self, _payload: bytes, now_s: float) -> Answer:
        """Nothing."""
        if not isinstance(self.climate, Dht22):
            return ops.ETIMEDOUT, b""
        try:
            answer = self.climate.read(now_s)
        except Nack:
            return ops.ETIMEDOUT, b""
        assert self.climate.told is not None
        self._delivered.climate(self.climate.told)
        return 0, answer

    def one_wire_reset(self, _payload: bytes, now_s: float) -> Answer:
        """Nothing."""
        return 0, bytes([isinstance(self.probe, Ds18b20) and self.probe.reset(now_s)])

    def one_wire_write(self, payload: bytes, now_s: float) -> Answer:
        """Data."""
        if isinstance(self.probe, Ds18b20):
            self.probe.write(payload, now_s)
        return 0, b""

    def one_wire_read(self, payload: bytes, now_s: float) -> Answer:
        """<H length."""
        (length,) = struct.unpack("<H", payload)
        return 0, self._probe_read(length, now_s) if isinstance(self.probe, Ds18b20) else b"\xff" * length

    def spi_write(self, payload: bytes, now_s: float) -> Answer:
        """Data."""
        if isinstance(self.probe, Max31865):
            self.probe.write(payload, now_s)
        return 0, b""

    def spi_read(self, payload: bytes, now_s: float) -> Answer:
        """<H length."""
        (length,) = struct.unpack("<H", payload)
        return 0, self._probe_read(length, now_s) if isinstance(self.probe, Max31865) else bytes(length)

    def _probe_read(self, length: int, now_s: float) -> bytes:
        answer: bytes = self.probe.read(length, now_s)
        if self.probe.told is not None:
            self._delivered.probe(self.probe.told)
        return answer

    def uart_read(self, payload: bytes, now_s: float) -> Answer:
        """<BH uart, at most."""
        _uart, length = struct.unpack("<BH", payload)
        return 0, self.receiver.read(length, now_s)

    def adc_read(self, payload: bytes, now_s: float) -> Answer:
        """<B pin."""
        connected = self.battery_present and payload[0] == self.wiring.battery_adc
        battery_mv = self._spec.world(now_s).battery_mv if self.battery_mv is None else self.battery_mv
        volts, of_pin = self.wiring.battery_divider
        pin_uv = round(battery_mv) * 1000 * of_pin // volts if connected else 0
        self._delivered.battery(pin_uv)
        return 0, struct.pack("<I", pin_uv)

    def pin_write(self, payload: bytes, now_s: float) -> Answer:
        """<BB pin, level."""
        pin, level = payload
        self.pin_changes[pin] += self._levels.get(pin, 0) != level
        self._levels[pin] = level
        if pin == self.wiring.gnss_power:
            was_on = self.receiver.is_on
            self.receiver.power(bool(level), now_s)
            if was_on and not level:
                self._delivered.finish(self.receiver.delivered)
        elif pin == self.wiring.spi[4] and isinstance(self.probe, Max31865):
            self.probe.select(not level)
        return 0, b""

    def pin_read(self, payload: bytes, _now_s: float) -> Answer:
        """<B pin."""
        return 0, bytes([self.level(payload[0])])

    def wake_on(self, payload: bytes, _now_s: float) -> Answer:
        """<B pin each."""
        self.wake_pins = tuple(payload)
        return 0, b""


HANDLERS: dict[int, Callable[[Buses, bytes, float], Answer]] = {
    ops.I2C_WRITE: Buses.i2c_write,
    ops.I2C_READ: Buses.i2c_read,
    ops.DHT_READ: Buses.dht_read,
    ops.ONE_WIRE_RESET: Buses.one_wire_reset,
    ops.ONE_WIRE_WRITE: Buses.one_wire_write,
    ops.ONE_WIRE_READ: Buses.one_wire_read,
    ops.SPI_WRITE: Buses.spi_write,
    ops.SPI_READ: Buses.spi_read,
    ops.UART_READ: Buses.uart_read,
    ops.ADC_READ: Buses.adc_read,
    ops.PIN_WRITE: Buses.pin_write,
    ops.PIN_READ: Buses.pin_read,
    ops.WAKE_ON: Buses.wake_on,
}
