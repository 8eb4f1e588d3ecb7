"""What a tag says on its cable and on the air."""

import asyncio
import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_board import BenchBoard, blank_image, on_a_desk
from test_provision import ORDER, provision

from tagfleet.twin import TwinSpec
from tagfleet.twin.fleet import TwinFleet
from taghub.heard import Heard
from taghub.intake import Accepted
from taghub.scan import ROWS_MAX, Scan, describe
from tagsmith.command_line import main
from tagsmith.hub_keys import keyring
from tagsmith.inventory import Inventory
from tagsmith.monitor import clean_line, follow
from tagsmith.sniff import radio_named, sniff
from tagwire.beacon import advertisement, seal_beacon
from tagwire.fields import Reading, encode_body
from tagwire.keyring import KeyringEntry
from tagwire.seal import aes128

CHATTY = b"import time\nwhile True:\n    print('alive')\n    time.sleep(0.1)\n"
KEY = bytes(range(16))
READING = Reading(481000000, 115000000, 4_200, 61_000, 3_900, 1, 1, 1_790_000_000, 3)


def frame(counter: int = 7, tag_id: int = 5) -> bytes:
    return seal_beacon(aes128(KEY), tag_id, counter, encode_body(READING))


def test_scan_shows_repeats_samples_and_strangers() -> None:
    scan = Scan([KeyringEntry(5, 0, KEY)])
    accepted = scan.take(
        [Heard(1, -60, frame()), Heard(2, -61, frame()), Heard(3, -70, frame(9, 6)), Heard(4, -1, b"x")]
    )
    assert [(sample.tag_id, sample.counter) for sample in accepted] == [(5, 7)]
    known, stranger = scan.rows()
    assert (known.reports, known.rssi_dbm, known.counter, known.sample) == (2, -61, 7, accepted[0])
    assert (stranger.tag_id, stranger.counter, stranger.sample) == (6, 9, None)
    assert describe(accepted[0]) == "4.2 °C  61.0 %RH  3.88 V  48.10000 11.50000  fix 5 m  still"


def test_scan_is_bounded_whatever_is_on_the_air() -> None:
    scan = Scan([])
    for tag_id in range(ROWS_MAX + 50):
        scan.take([Heard(tag_id, -60, frame(1, tag_id))])
    rows = scan.rows()
    assert len(rows) == ROWS_MAX
    assert rows[0].tag_id == 50, "the one that was silent longest has made room"


def test_line_cannot_play_with_the_terminal() -> None:
    assert clean_line(b"\x1b[2Jhello\x07 \xff\r\n") == "·[2Jhello· \ufffd"


def test_monitor_sees_the_cable_go_and_come_back(new_board: Callable[..., BenchBoard]) -> None:
    board = new_board(image=blank_image({"boot.py": b"", "main.py": CHATTY}))
    stop = threading.Event()
    heard: queue.Queue[str] = queue.Queue()

    def wait_for(text: str) -> None:
        while heard.get(timeout=30) != text:
            pass

    thread = threading.Thread(target=follow, args=(board.port, stop, heard.put, heard.put))
    thread.start()
    try:
        wait_for("alive")
        board.pull()
        wait_for("unplugged")
        board.plug()
        wait_for("open")
        wait_for("alive")
    finally:
        stop.set()
        thread.join()


def test_decode_opens_with_the_inventorys_keys(
    new_board: Callable[..., BenchBoard], inventory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Inventory(inventory_path) as inventory:
        tag_id = inventory.new_tag(ORDER)
        inventory.begin(tag_id, 0, "aa")
        (entry,) = keyring(inventory)
    sealed = seal_beacon(aes128(entry.beacon_key), tag_id, 3, encode_body(READING))
    main_arguments = ["decode", advertisement(0xFFFF, sealed).hex(), "--json", "--inventory", str(inventory_path)]
    with pytest.raises(SystemExit) as ended:
        main(main_arguments)
    assert not ended.value.code
    answer = capsys.readouterr().out
    assert json.loads(answer)["counter"] == 3
    assert entry.beacon_key.hex() not in answer


def test_provisioned_board_boots_as_a_twin_and_is_sniffed(
    new_board: Callable[..., BenchBoard], inventory_path: Path, tmp_path: Path
) -> None:
    board = new_board()
    with Inventory(inventory_path) as inventory:
        done = provision(board, inventory)
        provisioned = inventory.provision_of(done.tag_id, done.generation)
        scan = Scan(keyring(inventory))
    spec = TwinSpec(provisioned, 0, on_a_desk, board.flash.read_bytes())
    samples: list[Accepted] = []

    async def listen() -> None:
        async with TwinFleet([spec], tmp_path) as fleet:
            radio = radio_named("bumble:" + fleet.hci_transport, ORDER.company_id)
            heard = asyncio.Event()

            def on_sample(sample: Accepted) -> None:
                samples.append(sample)
                heard.set()

            listener = asyncio.create_task(sniff(radio, scan, on_sample))
            await heard.wait()
            listener.cancel()

    asyncio.run(asyncio.wait_for(listen(), 60))
    assert samples[0].tag_id == 1000
    assert samples[0].reading.temperature_mc == 21_500
    assert samples[0].reading.battery_mv in (3_880, 3_920)
