"""A capture of air becomes a scenario like it."""

from pathlib import Path

import numpy as np
import pytest

from tagfleet.capture import CaptureUnreadable, scenario_of_capture
from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.radio import RadioSettings, hear
from tagfleet.scenario import read
from tagfleet.world.world import build_world
from taghub.btsnoop import encode_advertisement, encode_header
from taghub.heard import Advertisement

START_S = 1_795_428_930.0


def test_scenario_of_a_capture_has_its_tags_interval_and_reception(tmp_path: Path) -> None:
    samples = Flock(make_provisions(3, 500, 40), build_world(3, 40), 10.0, START_S).step(START_S + 60)
    heard = hear(RadioSettings(received_share=0.4), 3, samples.tag_ids, samples.counters, samples.t_us)
    capture = tmp_path / "air.btsnoop"
    with capture.open("wb") as file:
        file.write(encode_header())
        file.write(encode_advertisement(Advertisement(int(START_S * 1e6), -70, "AA:BB:CC:DD:EE:FF", b"\x02\x01\x06")))
        for row, t_us, rssi_dbm in np.stack(heard, axis=1).tolist():
            adv_data = samples.adv_data[row].tobytes()
            file.write(encode_advertisement(Advertisement(t_us, rssi_dbm, "C0:00:00:00:00:01", adv_data)))
    mine = tmp_path / "mine.toml"
    mine.write_text(scenario_of_capture(capture))
    scenario = read(mine)
    assert scenario.tags.count == pytest.approx(40, abs=1)
    assert scenario.tags.interval == 10.0
    assert scenario.run.duration == pytest.approx(60, abs=11)
    assert scenario.air.received_share == pytest.approx(0.4, abs=0.05)
    assert scenario.air.shadowing_db == pytest.approx(5, abs=3)
    assert "1 other senders" in scenario.about

    whole = capture.read_bytes()
    damaged = tmp_path / 'bad "\x07 \u00e9.btsnoop'
    for data, said in ((whole[:-5], "its last record is not whole"), (whole + b"\xff" * 30, "before the damage")):
        damaged.write_bytes(data)
        mine.write_text(scenario_of_capture(damaged))
        assert said in read(mine).about
        assert read(mine).tags.count == scenario.tags.count
        assert read(mine).title == 'As captured: bad "? \u00e9.btsnoop'


@pytest.mark.parametrize(
    ("data", "said"), [(b"no capture at all", "not a btsnoop"), (b"", "begins with 16 bytes"), (None, "cannot be read")]
)
def test_what_is_no_capture_is_said(tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "x"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CaptureUnreadable, match=said):
        scenario_of_capture(path)


def test_capture_without_our_tags_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(encode_header())
    with pytest.raises(CaptureUnreadable, match="no beacon of a tag with company id 65535"):
        scenario_of_capture(path)
