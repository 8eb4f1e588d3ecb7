"""The courier at the real firmware: a twin on a virtual link, visited through the hub's own radio."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from courier_desk import near_desk
from test_courier_gatt import RadioDesk
from waiting import until

from tagfleet.twin import interpreter_available
from tagfleet.twin.radio import HciServer
from tagwire.keyring import KeyringEntry, hub_key_of
from tagwire.keys import beacon_key

FIRMWARE_TESTS = Path(__file__).parents[1] / "firmware"


def seconds_at_twin(folder: Path, samples: int) -> float:
    """From the hub's decision to visit a twin until the broker has all of its samples, each once."""
    if str(FIRMWARE_TESTS) not in sys.path:
        sys.path.append(str(FIRMWARE_TESTS))
    from window_bench import HUB_ID, ROOT_KEY, TAG_ID, WINDOW, Bench, Hub, in_window

    entry = KeyringEntry(TAG_ID, 0, beacon_key(ROOT_KEY, 0), hub=hub_key_of(ROOT_KEY, HUB_ID))
    seconds = 0.0

    async def work(bench: Bench, _: Hub) -> None:
        async def scenario(desk: RadioDesk) -> None:
            nonlocal seconds
            desk.hub.replace_keyring({TAG_ID: entry})
            # The bench's program advertises its first sample only, so the others are asked for as a platform would.
            request = {"request": "history", "tag": TAG_ID, "first": 1, "last": samples - 1}
            desk.hub.order_arrived(json.dumps(request).encode())
            listening = asyncio.create_task(desk.listen(transport))
            loop = asyncio.get_running_loop()
            await until(lambda: desk.courier.counts["visits"] > 0)  # the twin has filled its journal and calls
            begun_s = loop.time()
            await until(lambda: len(desk.broker.published()) >= samples)
            seconds = loop.time() - begun_s
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            assert sorted(counter for _, counter in desk.broker.published()) == list(range(samples))

        async with HciServer(bench.link, lambda address, adv_data: None) as server:
            transport = f"tcp-client:127.0.0.1:{server.port}"
            await near_desk(scenario, timeout_s=90.0, desk_type=RadioDesk)

    in_window(folder, work, {**WINDOW, "window_s": 3}, samples=samples)
    return seconds


def test_hub_fetches_all_that_a_twin_has(tmp_path: Path) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython interpreter for this platform")
    assert seconds_at_twin(tmp_path, 120) > 0
