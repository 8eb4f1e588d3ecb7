"""The virtual sensors against what their makers' documents and other people's parsers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynmeagps import VALCKSUM, NMEAReader

from tagfleet.twin import Environment
from tagfleet.twin.chips.bus import Nack, crc8
from tagfleet.twin.chips.sht4x import MEASUREMENTS_S, Sht4x
from tagfleet.twin.receiver import SILENT_BYTES_MAX, Receiver, fix_sentences, no_fix_sentences

NOW_S = 1_795_428_930.0
HERE = Environment(21.5, 45.0, 3700, 48.2194257, -16.3678985, 5.0, True)


def sensor(temperature_c: float = 21.5, humidity_pct: float = 45.0) -> Sht4x:
    return Sht4x(lambda now_s: (temperature_c, humidity_pct))


def test_sht4x_checksum_is_the_datasheets() -> None:
    assert crc8(b"\xbe\xef") == 0x92


def test_sht4x_measurement_reads_back_by_the_datasheets_formula() -> None:
    device = sensor()
    device.write(b"\xfd", NOW_S)
    answer = device.read(6, NOW_S + 0.0083)
    assert -45 + 175 * int.from_bytes(answer[0:2], "big") / 65535 == pytest.approx(21.5, abs=0.002)
    assert -6 + 125 * int.from_bytes(answer[3:5], "big") / 65535 == pytest.approx(45.0, abs=0.001)
    assert (answer[2], answer[5]) == (crc8(answer[0:2]), crc8(answer[3:5]))


@pytest.mark.parametrize(("command", "duration_s"), MEASUREMENTS_S.items())
def test_sht4x_does_not_acknowledge_while_it_measures(command: int, duration_s: float) -> None:
    device = sensor()
    device.write(bytes([command]), NOW_S)
    with pytest.raises(Nack):
        device.read(6, NOW_S + duration_s - 0.0005)
    with pytest.raises(Nack):
        device.write(b"\xfd", NOW_S + duration_s - 0.0005)
    assert len(device.read(6, NOW_S + duration_s)) == 6
    with pytest.raises(Nack):  # a measurement is read once
        device.read(6, NOW_S + duration_s)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xfd\xfd"])
def test_sht4x_refuses_what_it_does_not_know(data: bytes) -> None:
    with pytest.raises(Nack):
        sensor().write(data, NOW_S)


def test_sht4x_saturates_at_the_ends_of_its_words() -> None:
    device = sensor(1000.0, -50.0)
    device.write(b"\xfd", NOW_S)
    answer = device.read(6, NOW_S + 1)
    assert (answer[0:2], answer[3:5]) == (b"\xff\xff", b"\x00\x00")


def test_sht4x_soft_reset_and_absence() -> None:
    device = sensor()
    device.write(b"\xfd", NOW_S)
    device.write(b"\x94", NOW_S + 1)
    with pytest.raises(Nack):
        device.read(6, NOW_S + 2)
    device.present = False
    with pytest.raises(Nack):
        device.write(b"\xfd", NOW_S + 3)


@given(st.floats(-90, 90), st.floats(-180, 179.99), st.floats(0, 60))
def test_receiver_sentences_mean_what_they_shall_to_pynmeagps(latitude: float, longitude: float, speed: float) -> None:
    text, epoch = fix_sentences(int(NOW_S), latitude, longitude, speed)
    messages = {
        m.msgID: m for m in (NMEAReader.parse(s + b"\r\n", validate=VALCKSUM) for s in text.split(b"\r\n")[:-1])
    }
    rmc, gga = messages["RMC"], messages["GGA"]
    assert rmc.lat == pytest.approx(latitude, abs=1e-7)
    assert gga.lon == pytest.approx(longitude, abs=1e-7)
    assert (gga.lat * 1e7, gga.lon * 1e7) == pytest.approx((epoch.latitude_e7, epoch.longitude_e7), abs=1)
    assert rmc.spd * 1852 / 3600 == pytest.approx(speed, abs=0.0003)
    assert (rmc.status, gga.quality, gga.HDOP) == ("A", 1, epoch.hdop_e2 / 100)
    assert (str(rmc.date), str(rmc.time)) == ("2026-11-23", "10:15:30")


def test_receiver_without_fix_says_so_to_pynmeagps() -> None:
    messages = [NMEAReader.parse(s + b"\r\n") for s in no_fix_sentences(int(NOW_S)).split(b"\r\n")[:-1]]
    assert [m.status for m in messages if m.msgID == "RMC"] == ["V"]
    assert [m.quality for m in messages if m.msgID == "GGA"] == [0]


def test_receiver_sends_at_its_baud_rate_once_a_second_after_its_time_to_fix() -> None:
    receiver = Receiver(lambda t_s: HERE, seed=1, time_to_fix_s=1.0)
    assert receiver.read(100, NOW_S) == b""
    receiver.power(True, NOW_S + 0.5)
    assert receiver.read(100, NOW_S + 1.07) == b""  # its first epoch is on its way
    first = receiver.read(1000, NOW_S + 1.08 + 0.1)
    assert len(first) in (95, 96)  # 0.1 s at 9,600 baud
    rest = receiver.read(1000, NOW_S + 1.9)
    assert (first + rest).startswith(b"$GNRMC,101531.00,V")
    assert receiver.delivered is None
    second = receiver.read(1000, NOW_S + 2.9)
    assert second.startswith(b"$GNRMC,101532.00,A,4813.16")
    assert receiver.delivered is not None
    assert receiver.delivered.time_s == NOW_S + 2


def test_receiver_counts_an_epoch_as_delivered_when_its_position_was_read() -> None:
    receiver = Receiver(lambda t_s: HERE, seed=1, time_to_fix_s=0)
    receiver.power(True, NOW_S)
    text = fix_sentences(int(NOW_S), HERE.latitude_deg, HERE.longitude_deg, HERE.speed_mps)[0]
    told = text.index(b"\r", text.index(b"GGA")) + 1
    receiver.read(told - 1, NOW_S + 0.9)
    assert receiver.delivered is None
    receiver.read(1, NOW_S + 0.9)
    assert receiver.delivered is not None


def test_receiver_that_nobody_reads_loses_text_and_no_memory() -> None:
    receiver = Receiver(lambda t_s: HERE, seed=1)
    receiver.power(True, NOW_S)
    assert len(receiver.read(100_000, NOW_S + 3600)) <= SILENT_BYTES_MAX + 512


def test_receiver_forgets_everything_without_power() -> None:
    receiver = Receiver(lambda t_s: HERE, seed=1, time_to_fix_s=0)
    receiver.power(True, NOW_S)
    receiver.read(1000, NOW_S + 1)
    receiver.power(False, NOW_S + 1)
    assert receiver.read(1000, NOW_S + 5) == b""
    receiver.power(True, NOW_S + 5.5)
    assert receiver.delivered is None
