"""A tag and the flock make the same bytes of the same readings: one under MicroPython, the other by numpy."""

import json
from collections.abc import Callable
from pathlib import Path

from tagfleet.flock import Flock
from tagfleet.identity import make_provisions
from tagfleet.world.world import build_world
from tagwire.bulk import NOT_AVAILABLE

SEED = 11
TAGS = 20
START_S = 1_795_428_930.0


def test_tag_and_flock_make_the_same_bytes_of_the_same_readings(
    tmp_path: Path, micropython: Callable[..., str]
) -> None:
    provisions = make_provisions(SEED, 0xFFFF_FF00, TAGS, generation=255)
    samples = Flock(provisions, build_world(SEED, TAGS), 5.0, START_S).step(START_S + 100)
    rows = zip(*(column.tolist() for column in samples.readings), strict=True)
    cases = [
        (
            provisions[tag].root_key.hex(),
            provisions[tag].tag_id,
            counter,
            [None if value == NOT_AVAILABLE else value for value in reading],
        )
        for tag, counter, reading in zip(samples.tags.tolist(), samples.counters.tolist(), rows, strict=True)
    ]
    assert len(cases) > 300
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    printed = micropython(str(Path(__file__).with_name("seal_under_micropython.py")), str(tmp_path / "cases.json"))
    assert printed.split() == [row.tobytes().hex() for row in samples.adv_data]
