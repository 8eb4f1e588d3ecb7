"""The whole hub: a child process between air and a real broker."""

import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_process import HubProcess, Subscriber
from tags import NOW_S, NOW_US, Tag, reading
from waiting import wait_until

from tagwire import trace
from tagwire.air import encode_advertisement
from tagwire.alarm import REASON_TEMPERATURE_HIGH
from tagwire.beacon import COMPANY_ID_TEST, advertisement
from tagwire.fields import from_codes, to_codes

TAGS = [Tag(tag_id) for tag_id in range(1, 11)]


@pytest.fixture
def broker_port(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def hub(tmp_path: Path, broker_port: int) -> Iterator[HubProcess]:
    entries = [tag.entry() for tag in TAGS]
    with HubProcess(tmp_path, entries, f"[broker]\nport = {broker_port}\n").start() as process:
        yield process


def test_samples_arrive_with_their_values_and_are_traced(hub: HubProcess, broker_port: int) -> None:
    with Subscriber(broker_port) as subscriber:
        readings = {tag.tag_id: reading(20_000 + tag.tag_id * 100) for tag in TAGS}
        hub.advertise(*[tag.advertisement(5, readings[tag.tag_id]) for tag in TAGS for _ in range(3)])
        expected = [(tag.tag_id, 5) for tag in TAGS]
        wait_until(lambda: subscriber.keys == expected, "all samples delivered, each once")
        for sample in subscriber.samples:
            assert sample.unconfirmed
            exact = from_codes(to_codes(readings[sample.tag_id]))
            assert sample.reading.temperature_mc == exact.temperature_mc
            assert (sample.reading.latitude_e7, sample.reading.longitude_e7) == (exact.latitude_e7, exact.longitude_e7)
        wait_until(lambda: sorted(hub.traced(trace.ACKNOWLEDGED)) == expected, "acknowledged")
        assert sorted(hub.traced(trace.HEARD)) == sorted(hub.traced(trace.ACCEPTED)) == expected
        wait_until(lambda: subscriber.statuses[-1]["intake"]["repeat"] == 20, "status counts the repeats")
        status = subscriber.statuses[-1]
        assert (status["state"], status["tags"]) == ("online", {"known": 10, "heard": 10})
        assert status["intake"]["accepted"] == 10


def test_alarm_is_an_event_at_once_and_a_sample_of_a_batch(hub: HubProcess, broker_port: int) -> None:
    with Subscriber(broker_port) as subscriber:
        alarm = TAGS[0].beacon(8, reading(9_300), reason=REASON_TEMPERATURE_HIGH)
        hub.advertise(*[advertisement(COMPANY_ID_TEST, alarm)] * 3, TAGS[1].advertisement(1))
        wait_until(lambda: subscriber.keys == [(1, 8), (2, 1)], "both are samples")
        (event,) = subscriber.events
        assert (event["id"], event["hub"], event["temperature_c"]) == ("1-8-temperature_high", "hub-1", 9.3)
        wait_until(lambda: subscriber.statuses[-1]["batches"]["events"] == 1, "the status counts it")
        assert subscriber.other == []
        assert hub.end() == 0
    assert sorted(hub.traced(trace.ACKNOWLEDGED)) == [(1, 8), (2, 1)]


def test_nothing_but_new_authentic_samples_reaches_mqtt(hub: HubProcess, broker_port: int) -> None:
    dice = random.Random(1)
    good = TAGS[0].advertisement(7)
    forged = [(int.from_bytes(good, "big") ^ 1 << dice.randrange(8 * 24)).to_bytes(31, "big") for _ in range(300)]
    foreign = [TAGS[0].advertisement(8, company_id=0x004C), bytes(31), b"\x1e\xff\x4c\x00" + bytes(27), b""]
    noise = [dice.randbytes(dice.randrange(32)) for _ in range(300)]
    cut = [good[:length] for length in range(31)]
    with Subscriber(broker_port) as subscriber:
        hub.advertise(good)
        wait_until(lambda: subscriber.keys == [(1, 7)], "the good one")
        hub.advertise(*forged, *foreign, *noise, *cut, TAGS[0].advertisement(6), Tag(99).advertisement(1))
        with hub.air() as connection:  # an air that is no air at all
            connection.sendall(dice.randbytes(100_000))
        hub.advertise(TAGS[1].advertisement(1))
        wait_until(lambda: len(subscriber.keys) > 1, "the next good one")
        assert subscriber.keys == [(1, 7), (2, 1)]
        assert subscriber.other == []
        wait_until(lambda: subscriber.statuses[-1]["intake"]["unknown"] >= 1, "status counts")
        assert subscriber.statuses[-1]["intake"]["forged"] + subscriber.statuses[-1]["intake"]["budget"] > 100
        assert subscriber.statuses[-1]["intake"]["replayed"] == 1
    assert hub.running, hub.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_delivers_the_open_batch_and_ends_in_order(
    tmp_path: Path, broker_port: int, number: signal.Signals
) -> None:
    extra = f"max_samples = 2000\n[broker]\nport = {broker_port}\n"
    hub = HubProcess(tmp_path, [tag.entry() for tag in TAGS], extra)
    hub.settings.write_text(hub.settings.read_text("utf-8").replace("max_age_s = 0.2", "max_age_s = 600"), "utf-8")
    with hub, Subscriber(broker_port) as subscriber:
        hub.advertise(*[tag.advertisement(1) for tag in TAGS])
        wait_until(lambda: len(hub.traced(trace.ACCEPTED)) == 10, "accepted")
        assert subscriber.batches == []
        with hub.air():  # a simulator that is still there
            assert hub.end(number) == 0
        assert sorted(hub.traced(trace.ACKNOWLEDGED)) == [(tag.tag_id, 1) for tag in TAGS]
    assert len(subscriber.keys) == 10
    assert subscriber.statuses[-1]["state"] == "offline"
    assert "Traceback" not in hub.log
    assert not (tmp_path / "air").exists()


def test_killed_hub_is_lost_by_its_last_will(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    (tmp_path / "owner").mkdir()
    (tmp_path / "hub").mkdir()
    with HubProcess(tmp_path / "owner", [], f"[broker]\nport = {port}\n", "owner") as owner:
        owner.wait_listening()
        hub = HubProcess(tmp_path / "hub", [], f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')
        with hub, Subscriber(port) as subscriber:
            hub.wait_listening()
            hub.end(signal.SIGKILL)
            will = {"state": "lost", "site": "test", "hub": "hub-1"}
            wait_until(lambda: will in subscriber.statuses, "the will")


def test_embedded_broker_ends_with_the_hub_however_it_ends(hub: HubProcess, broker_port: int) -> None:
    hub.wait_listening()
    hub.end(signal.SIGKILL)

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", broker_port)) != 0

    wait_until(refused, "the broker is gone")


def run_to_its_end(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taghub", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert sum(line.startswith("taghub: ") for line in lines) == 1
    return lines[-1]


def test_init_prints_a_file_that_check_accepts(tmp_path: Path) -> None:
    printed = run_to_its_end(tmp_path, "init")
    assert printed.returncode == 0
    (tmp_path / "settings.toml").write_text(printed.stdout, "utf-8")
    (tmp_path / "keyring.jsonl").touch()
    checked = run_to_its_end(tmp_path, "check", "settings.toml")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("settings.toml: good\n")
    assert f"spool     {tmp_path}/spool.db, up to 1024 MB" in checked.stdout


def test_settings_that_are_missing_or_wrong_are_exit_2(tmp_path: Path) -> None:
    missing = run_to_its_end(tmp_path, "run", "settings.toml")
    assert missing.returncode == 2
    assert "settings.toml: no such file" in last_line(missing)
    (tmp_path / "settings.toml").write_text("[hub]\n", "utf-8")
    wrong = run_to_its_end(tmp_path, "check", "settings.toml")
    assert wrong.returncode == 2
    assert "hub.id: is missing" in last_line(wrong)
    assert run_to_its_end(tmp_path, "frobnicate").returncode == 2


def test_keyring_that_is_missing_or_wrong_is_exit_3(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, [], "")
    (tmp_path / "keyring.jsonl").write_text('{"id":1,"generation":0,"beacon_key":"00112233"}\n', "utf-8")
    wrong = run_to_its_end(tmp_path, "run", str(hub.settings))
    assert wrong.returncode == 3
    assert "keyring.jsonl: line 1: beacon_key" in last_line(wrong)
    (tmp_path / "keyring.jsonl").unlink()
    missing = run_to_its_end(tmp_path, "check", str(hub.settings))
    assert missing.returncode == 3
    assert "cannot be read: No such file" in last_line(missing)


def test_broker_that_cannot_be_reached_is_exit_4(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    hub = HubProcess(tmp_path, [], f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nstart_timeout_s = 0.5\n')
    result = run_to_its_end(tmp_path, "run", str(hub.settings))
    assert result.returncode == 4
    assert f"the broker at 127.0.0.1:{port} cannot be used: [Errno 111] Connection refused" in last_line(result)


def test_port_that_is_taken_is_exit_5(tmp_path: Path, hub: HubProcess, broker_port: int) -> None:
    hub.wait_listening()
    (tmp_path / "second").mkdir()
    second = HubProcess(tmp_path / "second", [], f"[broker]\nport = {broker_port}\n")
    broker = run_to_its_end(tmp_path, "run", str(second.settings))
    assert broker.returncode == 5
    assert f"127.0.0.1:{broker_port} is not free for the embedded broker" in last_line(broker)
    text = second.settings.read_text("utf-8").replace(f"unix:{tmp_path}/second/air", f"unix:{tmp_path}/air")
    second.settings.write_text(
        text.replace(f"[broker]\nport = {broker_port}", f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}'), "utf-8"
    )
    air = run_to_its_end(tmp_path, "run", str(second.settings))
    assert air.returncode == 5
    assert "cannot listen: another process listens on it" in last_line(air)
    hub.advertise(TAGS[0].advertisement(1))
    wait_until(lambda: hub.traced(trace.ACKNOWLEDGED) == [(1, 1)], "the first hub still hears")


def test_spool_that_another_hub_has_is_exit_7_and_killing_that_one_frees_it(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    spool = f'[spool]\npath = "{tmp_path}/spool.db"\n'
    (tmp_path / "second").mkdir()
    with HubProcess(tmp_path, [TAGS[0].entry()], f"[broker]\nport = {free_port()}\n{spool}") as first:
        first.wait_listening()
        second = HubProcess(tmp_path / "second", [TAGS[0].entry()], f"[broker]\nport = {free_port()}\n{spool}")
        result = run_to_its_end(tmp_path, "run", str(second.settings))
        assert result.returncode == 7
        assert "spool.db: another taghub that runs has it" in last_line(result)
        first.advertise(TAGS[0].advertisement(1))
        wait_until(lambda: first.traced(trace.ACKNOWLEDGED) == [(1, 1)], "the first hub goes on")
        first.end(signal.SIGKILL)
    with second:
        second.wait_listening()


def test_radio_that_cannot_be_used_is_exit_6_unless_it_is_not_required(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    radio = f'[[radio]]\nkind = "bumble"\ntransport = "tcp-client:127.0.0.1:{free_port()}"\n'
    broker = f"[broker]\nport = {free_port()}\n"
    hub = HubProcess(tmp_path, [TAGS[0].entry()], broker + radio)
    result = run_to_its_end(tmp_path, "run", str(hub.settings))
    assert result.returncode == 6
    assert "the controller cannot be used" in last_line(result)
    hub.settings.write_text(hub.settings.read_text("utf-8") + "required = false\n", "utf-8")
    with hub:
        wait_until(lambda: "now paused: the controller cannot be used" in hub.log, "it goes on without")
        hub.advertise(TAGS[0].advertisement(1))
        wait_until(lambda: hub.traced(trace.ACKNOWLEDGED) == [(1, 1)], "the other radio works")
        assert hub.end() == 0


def test_machine_without_bluetooth_is_exit_6(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    hub = HubProcess(tmp_path, [], f'[broker]\nport = {free_port()}\n[[radio]]\nkind = "bleak"\n')
    result = run_to_its_end(tmp_path, "run", str(hub.settings))
    assert result.returncode == 6
    assert "radio bleak: no Bluetooth service" in last_line(result)


def test_air_clock_is_the_hubs_clock(tmp_path: Path, broker_port: int) -> None:
    extra = f'[broker]\nport = {broker_port}\n[clock]\nsource = "air"\n'
    with HubProcess(tmp_path, [TAGS[0].entry()], extra) as hub, Subscriber(broker_port) as subscriber:
        with hub.air() as air:
            for counter, t_us in enumerate((NOW_US, NOW_US + 100_000, NOW_US + 3_600_000_000)):
                values = reading(time_s=t_us // 1_000_000 - 8)
                air.sendall(encode_advertisement(t_us, -60, bytes(6), TAGS[0].advertisement(counter, values)))
                wait_until(lambda n=counter: len(hub.traced(trace.HEARD)) > n, "heard")  # type: ignore[misc]
            wait_until(lambda: len(subscriber.keys) >= 2, "an hour of air has passed at once")
        assert hub.end() == 0
    heard = {sample.counter: (sample.heard_s, sample.reading.time_s) for sample in subscriber.samples}
    assert heard == {0: (NOW_S, NOW_S - 8), 1: (NOW_S, NOW_S - 8), 2: (NOW_S + 3600, NOW_S + 3592)}


def test_hub_that_cannot_start_does_not_stay_online(tmp_path: Path, hub: HubProcess, broker_port: int) -> None:
    hub.wait_listening()
    (tmp_path / "second").mkdir()
    extra = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n[[radio]]\nkind = "bumble"\ntransport = "nonsense:1"\n'
    second = HubProcess(tmp_path / "second", [], extra, "hub-2")
    with Subscriber(broker_port) as subscriber:
        assert run_to_its_end(tmp_path, "run", str(second.settings)).returncode == 6
        wait_until(
            lambda: [status["state"] for status in subscriber.statuses if status["hub"] == "hub-2"][-1:] == ["offline"],
            "the failed hub is offline",
        )


def test_stop_without_a_broker_is_bounded_and_says_what_is_lost(tmp_path: Path, free_port: Callable[[], int]) -> None:
    extra = f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\nwait_for_broker = true\nstop_timeout_s = 0.5\n'
    with HubProcess(tmp_path, [TAGS[0].entry()], extra).start() as hub:
        hub.advertise(TAGS[0].advertisement(1))
        wait_until(lambda: hub.traced(trace.ACCEPTED) == [(1, 1)], "accepted")
        assert hub.end() == 0
        assert "stopped with 1 batches undelivered; they are lost" in hub.log


def test_trace_on_a_full_disk_does_not_stop_the_hub(tmp_path: Path, broker_port: int) -> None:
    hub = HubProcess(tmp_path, [TAGS[0].entry()], f"[broker]\nport = {broker_port}\n")
    hub.settings.write_text(hub.settings.read_text("utf-8").replace("trace.bin", "/dev/full"), "utf-8")
    with hub, Subscriber(broker_port) as subscriber:
        hub.advertise(TAGS[0].advertisement(1))
        wait_until(lambda: subscriber.keys == [(1, 1)], "delivered")
        assert "the trace cannot be written" in hub.log
