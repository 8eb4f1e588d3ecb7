"""docs/visit_tag.py as a reader would run it, but for the radio: bleak over HCI, to the firmware on a virtual board."""

import argparse
import sys
from pathlib import Path

import pytest
from window_bench import HUB_ID, TAG_ID, WINDOW, Bench, Hub, in_window

from tagfleet.twin.radio import HciServer
from taghub.radio.bumble_backend import BumbleScanner
from taghub.radio.bumble_client import BumbleClient
from tagwire.session import EPOCH_FOREVER

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import visit_tag


def test_bleak_fetches_a_tags_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(bench: Bench, hub: Hub) -> None:
        arguments = argparse.Namespace(
            tag=TAG_ID, hub=HUB_ID, key=hub.key.hex(), epoch=EPOCH_FOREVER, company=0xFFFF, wait=30.0
        )
        async with HciServer(bench.link, lambda address, adv_data: None) as server:
            transport = f"tcp-client:127.0.0.1:{server.port}"
            scanner = {"backend": BumbleScanner, "transport": transport}
            await visit_tag.visit(arguments, scanner, {"backend": BumbleClient, "transport": transport})

    in_window(tmp_path, work, {**WINDOW, "window_s": 3}, samples=150)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["0,None,-80000,0", "1,None,-80000,0"]
    assert [line.split(",")[0] for line in lines] == list(map(str, range(150)))
