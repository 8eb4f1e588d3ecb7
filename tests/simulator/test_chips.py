"""The virtual chips against the examples in their datasheets, and the tag's drivers against the virtual chips."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfleet.twin.chips import ds18b20, max31865
from tagfleet.twin.chips.aht20 import INITIALIZE, MEASURE, Aht20
from tagfleet.twin.chips.bme280 import Bme280, temperature_of
from tagfleet.twin.chips.bus import Nack, crc8
from tagfleet.twin.chips.dht22 import Dht22
from tagfleet.twin.chips.ds18b20 import Ds18b20
from tagfleet.twin.chips.lis2dh12 import Lis2dh12
from tagfleet.twin.chips.max31865 import Max31865
from tagfleet.twin.chips.sht3x import Sht3x
from tagfleet.twin.chips.sht4x import Sht4x
from tagsmith.manifest import firmware_folder

sys.path.insert(0, str(firmware_folder()))
sys.modules.setdefault("machine", SimpleNamespace())  # type: ignore[arg-type]
sys.modules.setdefault("onewire", SimpleNamespace(OneWire=None))  # type: ignore[arg-type]

from tag.sensors import aht20 as aht20_driver  # noqa: E402
from tag.sensors import bme280 as bme280_driver  # noqa: E402
from tag.sensors import dht22 as dht22_driver  # noqa: E402
from tag.sensors import ds18b20 as ds18b20_driver  # noqa: E402
from tag.sensors import lis2dh12 as lis2dh12_driver  # noqa: E402
from tag.sensors import max31865 as max31865_driver  # noqa: E402
from tag.sensors import sht3x as sht3x_driver  # noqa: E402
from tag.sensors import sht4x as sht4x_driver  # noqa: E402

CELSIUS = st.floats(-39, 84)
PERCENT = st.floats(1, 99)


class I2c:
    """MicroPython's I2C on one chip; `ms` passes between two transfers."""

    def __init__(self, chip: Any, address: int) -> None:
        self.chip, self.address, self.now_s = chip, address, 1000.0

    def writeto(self, address: int, data: bytes) -> None:
        assert address == self.address
        self.chip.write(data, self.now_s)

    def readfrom(self, address: int, length: int) -> bytes:
        assert address == self.address
        return bytes(self.chip.read(length, self.now_s))

    def readfrom_mem(self, address: int, register: int, length: int) -> bytes:
        self.writeto(address, bytes([register]))
        return self.readfrom(address, length)

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self.writeto(address, bytes([register]) + data)


def measured(driver: Any, make: Callable[[Any], Any], celsius: float, percent: float) -> tuple[Any, Any]:
    """(what the driver says, the chip) of one measurement, read as early as the driver dares."""
    chip = make(lambda now_s: (celsius, percent))
    bus = I2c(chip, driver.ADDRESS)
    driver.start(bus)
    bus.now_s += driver.MEASURE_MS / 1000
    return driver.finish(bus), chip


@given(CELSIUS, PERCENT)
@pytest.mark.parametrize(
    ("driver", "make", "mc", "mpct"),
    [
        (sht4x_driver, Sht4x, 2, 2),
        (sht3x_driver, Sht3x, 2, 2),
        (aht20_driver, Aht20, 1, 1),
        (bme280_driver, Bme280, 11, 60),  # Bosch's integer formula is good to 0.01 degrees, and drops bits of humidity
    ],
)
def test_driver_says_what_the_chip_measured(
    driver: Any, make: Any, mc: int, mpct: int, celsius: float, percent: float
) -> None:
    (temperature_mc, humidity_mpct), chip = measured(driver, make, celsius, percent)
    assert temperature_mc == pytest.approx(celsius * 1000, abs=mc)
    assert humidity_mpct == pytest.approx(percent * 1000, abs=mpct)
    assert chip.told.temperature_mc == pytest.approx(temperature_mc, abs=mc)


@pytest.mark.parametrize(("driver", "make"), [(sht4x_driver, Sht4x), (sht3x_driver, Sht3x), (aht20_driver, Aht20)])
def test_wrong_checksum_is_not_available(driver: Any, make: Any) -> None:
    chip = make(lambda now_s: (20, 50))
    chip.damaged = b"\x00\x01" + bytes(5)
    bus = I2c(chip, driver.ADDRESS)
    driver.start(bus)
    bus.now_s += 1
    assert driver.finish(bus)[0] is None


def test_aht20_needs_its_initialization_and_80_ms() -> None:
    chip = Aht20(lambda now_s: (20, 50))
    chip.write(MEASURE, 0)
    assert chip.read(7, 1) == bytes(7)  # not calibrated: status alone
    chip.write(INITIALIZE, 1)
    chip.write(MEASURE, 1)
    assert aht20_driver.convert(chip.read(7, 1.07)) == (None, None)
    assert aht20_driver.convert(chip.read(7, 1.08)) == (20_000, 50_000)
    assert crc8(b"\xbe\xef") == 0x92


def test_bme280_formulas_are_the_datasheets_example() -> None:
    celsius, t_fine = temperature_of(519_888)
    assert (round(celsius, 2), round(t_fine)) == (25.08, 128_422)
    calibration = b"".join((number & 0xFFFF).to_bytes(2, "little") for number in (27504, 26435, -1000))
    data = (519_888 << 4).to_bytes(3, "big") + b"\x80\x00"
    assert bme280_driver.convert(calibration, 75, bytes(7), data)[0] == pytest.approx(25_080, abs=5)
    assert bme280_driver.convert(calibration, 75, bytes(7), b"\x80\x00\x00\x80\x00") == (None, None)  # skipped


def test_dht22_answer_is_the_datasheets_example() -> None:
    answer = Dht22(lambda now_s: (35.1, 65.2)).read(0)
    assert answer == bytes([0b00000010, 0b10001100, 0b00000001, 0b01011111, 0b11101110])
    assert dht22_driver.convert(answer) == (35_100, 65_200)
    below = Dht22(lambda now_s: (-10.1, 65.2)).read(0)
    assert below[2:4] == bytes([0b10000000, 0b01100101])
    assert dht22_driver.convert(below) == (-10_100, 65_200)
    assert dht22_driver.convert(below[:4] + bytes([below[4] ^ 1])) == (None, None)


def test_dht22_is_silent_for_two_seconds() -> None:
    chip = Dht22(lambda now_s: (20, 50))
    chip.read(0)
    with pytest.raises(Nack):
        chip.read(1.9)
    chip.read(2)


@pytest.mark.parametrize(
    ("celsius", "raw"),
    [(125, 0x07D0), (25.0625, 0x0191), (10.125, 0x00A2), (0, 0), (-10.125, 0xFF5E), (-25.0625, 0xFE6F), (-55, 0xFC90)],
)
def test_ds18b20_scratchpad_is_the_datasheets_table(celsius: float, raw: int) -> None:
    chip = Ds18b20(lambda now_s: (celsius, 0))
    assert chip.reset(0)
    chip.write(b"\xcc\x44", 0)
    chip.reset(0.75)
    chip.write(b"\xcc\xbe", 0.75)
    scratchpad = chip.read(9, 0.75)
    assert int.from_bytes(scratchpad[:2], "little") == raw
    temperature_mc, humidity = ds18b20_driver.convert(scratchpad)
    assert temperature_mc == pytest.approx(celsius * 1000, abs=0.51)
    assert humidity is None


def test_ds18b20_checksum_is_that_of_application_note_27() -> None:
    assert ds18b20.crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2
    assert ds18b20_driver.crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2


def test_ds18b20_that_lost_its_conversion_is_not_85_degrees() -> None:
    chip = Ds18b20(lambda now_s: (20, 0))
    chip.reset(0)
    chip.write(b"\xcc\xbe", 0)
    scratchpad = chip.read(9, 0)
    assert scratchpad[:2] == b"\x50\x05"
    assert ds18b20_driver.convert(scratchpad) == (None, None)
    assert ds18b20_driver.convert(b"\xff" * 9) == (None, None)


@pytest.mark.parametrize(("celsius", "ohm"), [(-200, 18.52), (-80, 68.325), (0, 100), (100, 138.506)])
def test_pt100_is_that_of_iec_60751(celsius: float, ohm: float) -> None:
    assert max31865.resistance_ohm(celsius) == pytest.approx(ohm, abs=0.001)
    assert max31865_driver.temperature_mc(round(ohm * 1000)) == pytest.approx(celsius * 1000, abs=3)


@given(st.floats(-199, 129))
def test_pt100_driver_is_right_to_one_step_of_the_converter(celsius: float) -> None:
    raw = round(max31865.resistance_ohm(celsius) / max31865.REFERENCE_OHM * 32768)
    temperature_mc, _ = max31865_driver.convert((raw << 1).to_bytes(2, "big"))
    assert temperature_mc == pytest.approx(celsius * 1000, abs=32)  # which is 32 mK


@pytest.mark.parametrize("ohm", [0, 10, 200, 430])
def test_pt100_that_is_broken_or_shorted_is_not_available(ohm: float) -> None:
    assert max31865_driver.temperature_mc(round(ohm * 1000)) is None


def test_max31865_with_an_open_wire_reports_a_fault() -> None:
    chip = Max31865(lambda now_s: (-70, 0))
    chip.broken_wire = True
    for at_s, value in ((0, 0x83), (0.011, 0xA1)):
        chip.select(True)
        chip.write(bytes([0x80, value]), at_s)
        chip.select(False)
    chip.select(True)
    chip.write(b"\x01", 0.1)
    assert max31865_driver.convert(chip.read(2, 0.1)) == (None, None)


def test_lis2dh12_latches_motion_until_it_is_asked() -> None:
    chip = Lis2dh12()
    bus: Any = I2c(chip, lis2dh12_driver.ADDRESS)
    chip.move(500)
    assert lis2dh12_driver.felt(bus, 64, 0) is None  # it had to be set up: nothing is known
    assert lis2dh12_driver.felt(bus, 64, 0) == (False, False)
    chip.move(64)
    assert not chip.int1
    chip.move(65)
    assert chip.int1
    assert lis2dh12_driver.felt(bus, 64, 0) == (True, False)
    assert not chip.int1
    assert lis2dh12_driver.felt(bus, 64, 0) == (False, False)
    chip.hit(8000)  # between two samples
    assert lis2dh12_driver.felt(bus, 64, 0) == (False, False)
    assert lis2dh12_driver.felt(bus, 128, 0) is None  # another threshold
    chip.move(128)
    assert lis2dh12_driver.felt(bus, 128, 0) == (False, False)


def test_lis2dh12_tells_a_hit_from_motion_and_shows_what_it_is_asked_to() -> None:
    chip = Lis2dh12()
    bus: Any = I2c(chip, lis2dh12_driver.ADDRESS)
    assert lis2dh12_driver.felt(bus, 64, 4000) is None
    assert lis2dh12_driver.felt(bus, 64, 4000) == (False, False)
    chip.move(200)
    assert chip.int1
    lis2dh12_driver.show(bus, False, True)  # it goes on moving, which shall not wake the tag
    assert not chip.int1
    chip.hit(3900)
    assert not chip.int1
    chip.hit(4100)
    assert chip.int1
    assert lis2dh12_driver.felt(bus, 64, 4000) == (True, True)
    assert not chip.int1
    assert lis2dh12_driver.felt(bus, 64, 4000) == (False, False)
    chip.power_on()
    assert lis2dh12_driver.felt(bus, 64, 4000) is None
