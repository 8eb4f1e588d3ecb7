"""The real firmware on the virtual board: what it makes of good sensors, bad sensors and bad provisioning."""

from pathlib import Path

import pytest
from twin_bench import QUICK, ROOT_KEY, WITH_GNSS, Bench, in_virtual_time, on_bench, opened, twin_spec, world

from tagfleet.twin.image import provisioned_image
from tagfleet.twin.virtual_board import DEEPSLEEP_RESET, PWRON_RESET
from tagsmith.image import make_image, read_image
from tagsmith.manifest import tag_files
from tagwire.beacon import parse_header
from tagwire.fields import (
    FIX_5M,
    FIX_10MIN,
    FIX_15M,
    FIX_50M,
    FIX_NONE,
    FIX_POOR,
    MOTION_MOVING,
    TIME_ESTIMATED,
    TIME_GNSS,
    TIME_UNKNOWN,
    to_codes,
)
from tagwire.provision import COUNTER_FILE, PROVISION_FILE
from tagwire.service import (
    BOARD_ESP32_DEVKIT,
    BOARD_UNKNOWN,
    SERVICE_COUNTER_LOST,
    SERVICE_NO_KEY,
    SERVICE_SETTINGS,
    decode_service,
)


def assert_honest(bench: Bench) -> None:
    """Each sample carries what the buses delivered for it, to the bit."""
    assert len(bench.made) == len(bench.advertised)
    for (counter, truth), frame in zip(bench.made, bench.advertised, strict=True):
        assert opened(frame, counter) == to_codes(truth)


def test_twin_makes_sealed_samples_of_what_its_buses_deliver(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for _ in range(3):
            halt = await bench.wake()
            assert halt.cause == DEEPSLEEP_RESET

    bench = on_bench(tmp_path, twin_spec(WITH_GNSS), work)
    assert [counter for counter, _ in bench.made] == [0, 1, 2]
    assert_honest(bench)
    truth = bench.made[-1][1]
    here = world(truth.time_s or 0)
    assert truth.latitude_e7 == pytest.approx(here.latitude_deg * 1e7, abs=1000)  # noise of metres
    assert truth.longitude_e7 == pytest.approx(here.longitude_deg * 1e7, abs=1000)
    assert truth.temperature_mc == pytest.approx(-20_250, abs=2)
    assert truth.humidity_mpct == pytest.approx(61_300, abs=2)
    assert truth.battery_mv == 3712
    assert (truth.fix, truth.motion, truth.time_quality) == (FIX_5M, MOTION_MOVING, TIME_GNSS)


@pytest.mark.parametrize(
    ("hdop_e2", "fix"), [(166, FIX_5M), (167, FIX_15M), (500, FIX_15M), (501, FIX_50M), (1667, FIX_POOR)]
)
def test_fix_class_follows_the_receivers_dilution(tmp_path: Path, hdop_e2: int, fix: int) -> None:
    async def work(bench: Bench) -> None:
        bench.twin.board.buses.receiver.hdop_e2 = hdop_e2
        await bench.wake()

    bench = in_virtual_time(tmp_path, twin_spec({**WITH_GNSS, "gnss_settle_s": 0}), work)
    assert_honest(bench)
    assert bench.made[0][1].fix == fix


def test_firmware_as_source_makes_the_same_samples(tmp_path: Path) -> None:
    spec = twin_spec()

    async def work(bench: Bench) -> None:
        bench.flash.write_bytes(provisioned_image(spec.provision, 0, tag_files()))
        await bench.wake()
        await bench.wake()

    bench = in_virtual_time(tmp_path, spec, work)
    assert [counter for counter, _ in bench.made] == [0, 1]
    assert_honest(bench)


def test_sleep_fills_the_interval(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        halt = await bench.wake()
        assert halt.sleep_s is not None
        assert 0 < halt.sleep_s < 2

    in_virtual_time(tmp_path, twin_spec(), work)


def test_repeats_send_the_same_frame_without_new_measurements(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for _ in range(6):
            await bench.wake()

    bench = in_virtual_time(tmp_path, twin_spec({**QUICK, "burst_repeats": 2}), work)
    assert [counter for counter, _ in bench.made] == [0, 1]
    first, second = bench.advertised[0], bench.advertised[3]
    assert bench.advertised == [first] * 3 + [second] * 3
    assert first != second


def test_tag_without_sky_keeps_its_last_position_and_an_estimated_time(tmp_path: Path) -> None:
    sky = [True]
    settings = {**WITH_GNSS, "gnss_cold_timeout_s": 4, "gnss_hot_timeout_s": 0}

    async def work(bench: Bench) -> None:
        await bench.wake()
        sky[0] = False
        await bench.wake()
        await bench.wake(PWRON_RESET)  # the clock and the position are gone with power

    spec = twin_spec(settings, world=lambda t_s: world(t_s)._replace(has_sky=sky[0]))
    bench = in_virtual_time(tmp_path, spec, work)
    assert_honest(bench)
    (_, with_sky), (_, without), (_, after_power) = bench.made
    assert (without.latitude_e7, without.longitude_e7) == (with_sky.latitude_e7, with_sky.longitude_e7)
    assert (without.fix, without.time_quality) == (FIX_10MIN, TIME_ESTIMATED)
    assert (after_power.fix, after_power.time_quality, after_power.latitude_e7) == (FIX_NONE, TIME_UNKNOWN, None)


@pytest.mark.parametrize("fault", ["absent", "temperature word", "humidity word", "battery", "garbage", "noise"])
def test_sensor_fault_costs_its_own_value_only(tmp_path: Path, fault: str) -> None:
    async def work(bench: Bench) -> None:
        board = bench.twin.board
        if fault == "absent":
            board.buses.climate.present = False
        elif fault == "temperature word":
            board.buses.climate.damaged = b"\x00\x01\x00\x00\x00\x00"
        elif fault == "humidity word":
            board.buses.climate.damaged = b"\x00\x00\x00\x00\x00\x80"
        elif fault == "battery":
            board.buses.battery_present = False
        elif fault == "garbage":
            invalid = b"$GNRMC,999999.99,A,9999.9,N,99999.9,E,,,999999,,,A*00\r\n$"
            board.buses.receiver.garbage = invalid + bytes(range(256))
        else:
            board.buses.receiver.garbage = bytes(range(255, -1, -1)) * 3
        await bench.wake()
        await bench.wake()

    settings = {**WITH_GNSS, "gnss_cold_timeout_s": 2} if fault in ("garbage", "noise") else QUICK
    bench = in_virtual_time(tmp_path, twin_spec(settings), work)
    assert len(bench.made) == 2
    assert_honest(bench)
    truth = bench.made[0][1]
    assert (truth.temperature_mc is None) == (fault in ("absent", "temperature word"))
    assert (truth.humidity_mpct is None) == (fault in ("absent", "humidity word"))
    assert (truth.battery_mv is None) == (fault == "battery")
    assert truth.latitude_e7 is None


def test_radio_that_does_not_start_costs_one_burst(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.twin.board.radio_works = False
        halt = await bench.wake()
        assert halt.sleep_s is not None
        assert halt.sleep_s < 2
        bench.twin.board.radio_works = True
        await bench.wake()

    bench = in_virtual_time(tmp_path, twin_spec(), work)
    assert "radio: OSError" in bench.console()
    assert [counter for counter, _ in bench.made] == [1]  # the first was sealed, and never sent


def rewrite(flash: Path, files: dict[str, bytes | None]) -> None:
    """Change files of a tag's flash, or remove them, as a bench or a fault would."""
    image = flash.read_bytes()
    changed = {**read_image(image), **files}
    flash.write_bytes(
        make_image({path: content for path, content in changed.items() if content is not None}, len(image))
    )


@pytest.mark.parametrize(
    ("files", "reason", "message"),
    [
        ({PROVISION_FILE: None}, SERVICE_NO_KEY, "provision.json is missing"),
        ({PROVISION_FILE: b"{}\n00000000\n"}, SERVICE_NO_KEY, "CRC-32"),
        ({PROVISION_FILE: b""}, SERVICE_NO_KEY, "provision.json"),
        ({COUNTER_FILE: None}, SERVICE_COUNTER_LOST, "counter missing in every place"),
        ({COUNTER_FILE: b"\xff" * 8}, SERVICE_COUNTER_LOST, "counter missing in every place"),
    ],
)
def test_broken_provisioning_asks_for_service_on_the_air_and_makes_no_sample(
    tmp_path: Path, files: dict[str, bytes | None], reason: int, message: str
) -> None:
    async def work(bench: Bench) -> None:
        rewrite(bench.flash, files)
        halt = await bench.wake(DEEPSLEEP_RESET)  # without the half minute that it leaves to a person after power-on
        assert halt.sleep_s == 600

    bench = in_virtual_time(tmp_path, twin_spec(), work)
    assert bench.made == []
    (frame,) = bench.advertised
    service = decode_service(frame)
    assert service.reason == reason
    # Who it is, and with what battery, where the provisioning file tells.
    known = PROVISION_FILE not in files
    assert parse_header(frame).tag_id == (7 if known else 0)
    assert (service.board, service.battery_mv) == ((BOARD_ESP32_DEVKIT, 3720) if known else (BOARD_UNKNOWN, None))
    assert "service needed: " in bench.console()
    assert message in bench.console()


def test_unknown_board_asks_for_service(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.wake(DEEPSLEEP_RESET)

    bench = in_virtual_time(tmp_path, twin_spec(board="toaster"), work)
    assert "service needed: board toaster is not known" in bench.console()
    assert bench.made == []
    assert decode_service(bench.advertised[0]).reason == SERVICE_SETTINGS


def test_bad_settings_are_said_and_do_not_stop_the_tag(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.wake()

    bench = in_virtual_time(tmp_path, twin_spec({**QUICK, "burst_events": 0, "colour": "red"}), work)
    assert len(bench.made) == 1
    assert "setting colour is not known, ignored" in bench.console()
    assert "setting burst_events is not within 1 to 100: 12 is used" in bench.console()


def test_beacon_carries_the_provisioned_identity(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.wake()

    bench = in_virtual_time(tmp_path, twin_spec(first_counter=5 << 24, tag_id=0xFFFFFFFE, company_id=0x0499), work)
    header = parse_header(bench.advertised[0])
    assert (header.tag_id, header.counter_low) == (0xFFFFFFFE, 0)
    assert bench.made[0][0] == 5 << 24
    assert ROOT_KEY not in bench.console().encode()
