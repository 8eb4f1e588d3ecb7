"""A hub in virtual time: what it takes of a tag's journal, and what it brings."""

from itertools import pairwise
from pathlib import Path

import pytest
from twin_bench import QUICK, WITH_GNSS, interpreter, twin_spec, world

from tagfleet.twin.power_cuts import small_image
from tagfleet.twin.virtual_board import PWRON_RESET, SOFT_RESET
from tagfleet.twin.virtual_time import STARTED_S, VirtualTwin
from tagfleet.twin.visits import VisitingHub
from tagwire.beacon import HINT_BACKLOG, parse_header
from tagwire.command import SETTINGS
from tagwire.fields import TIME_HUB, to_codes
from tagwire.history import codes_of
from tagwire.messages import STATUS_OK, STATUS_VALUE


def test_visits_bring_every_sample_once_as_it_was_measured(tmp_path: Path) -> None:
    spec = twin_spec({**WITH_GNSS, "interval_s": 300, "window_every": 3})
    hub = VisitingHub(spec.provision)
    with VirtualTwin(spec, tmp_path, interpreter(), image=small_image(spec), hub=hub) as twin:
        while len(twin.made) < 60:
            twin.wake()
        truths = [to_codes(made.truth) for made in twin.made]
        backlog = [bool(parse_header(made.frame).hints & HINT_BACKLOG) for made in twin.made]
    assert hub.faults == []
    assert hub.visits >= 3
    assert [record.counter for record in hub.records] == list(range(len(hub.records)))
    assert len(hub.records) > 40
    assert [codes_of(record) for record in hub.records] == truths[: len(hub.records)]
    assert hub.settled[0][1] <= hub.had[0][1]
    assert not all(backlog[12:])  # what was settled no longer counts


def test_hub_sets_the_time_of_a_tag_without_sky_and_commands_are_carried_out(tmp_path: Path) -> None:
    values = {1: b'{"interval_s": 600}', 2: b'{"interval_s": 0}'}
    spec = twin_spec({**QUICK, "interval_s": 300, "window_unsettled": 2, "window_every": 1})
    hub = VisitingHub(spec.provision, lambda number: (SETTINGS, values[number]) if number in values else None)
    later_s = STARTED_S + 30 * 86_400  # than the firmware was made: it takes no earlier time from a hub
    with VirtualTwin(spec, tmp_path, interpreter(), None, later_s, small_image(spec), hub=hub) as twin:
        while len(twin.made) < 6:
            twin.wake()
        assert hub.replied == {1: STATUS_OK, 2: STATUS_VALUE}
        assert twin.made[1].truth.time_s is None
        assert twin.made[2].truth.time_quality == TIME_HUB
        gaps = [after.t_s - before.t_s for before, after in pairwise(twin.made)]
        assert gaps[0] == pytest.approx(300, abs=2)
        assert gaps[2:] == [pytest.approx(600, abs=2)] * 3


def test_power_cut_in_a_visit_is_seen_by_the_hub_which_goes_on_at_the_next(tmp_path: Path) -> None:
    spec = twin_spec({**QUICK, "interval_s": 300, "window_unsettled": 2, "window_every": 1}, world=world)
    hub = VisitingHub(spec.provision, lambda number: (SETTINGS, b'{"flight_h": 7}') if number == 1 else None)
    with VirtualTwin(spec, tmp_path, interpreter(), image=small_image(spec), hub=hub) as twin:
        while (halt := twin.wake()) and halt.cause != SOFT_RESET:
            pass
        twin.supply.fail_at = twin.supply.operations + 5
        halt = twin.wake()
        assert halt is not None
        assert halt.cause == PWRON_RESET
        assert hub.faults == ["visit 1 was cut short"]
        while not hub.replied:
            twin.wake()
        assert hub.visits == 1
