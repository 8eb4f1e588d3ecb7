"""An event says what its sample says, under an id that is the same wherever it comes from."""

import json

import pytest

from tagwire.alarm import REASON_TEMPERATURE_HIGH
from tagwire.batch import Sample
from tagwire.events import encode_event
from tagwire.fields import FIX_5M, MOTION_STILL, TIME_GNSS, Reading

READING = Reading(525200000, 134050000, 9_300, 45_000, 3_600, FIX_5M, MOTION_STILL, 1_790_000_000, TIME_GNSS)
ALARM = Sample(7, 15, READING, 1_790_000_002, -66, False, REASON_TEMPERATURE_HIGH)


def test_event_has_an_id_a_reason_and_the_members_of_a_line() -> None:
    event = json.loads(encode_event("hub-1", ALARM))
    assert event == {
        "id": "7-15-temperature_high",
        "reason": "temperature_high",
        "hub": "hub-1",
        "tag": 7,
        "counter": 15,
        "time": 1_790_000_000,
        "time_quality": "gnss",
        "latitude": 52.52,
        "longitude": 13.405,
        "fix": "5 m",
        "temperature_c": 9.3,
        "humidity_pct": 45.0,
        "battery_v": 3.6,
        "motion": "still",
        "heard": 1_790_000_002,
        "rssi_dbm": -66,
        "unconfirmed": False,
    }


def test_id_is_the_same_from_every_hub_and_a_reserved_reason_is_its_number() -> None:
    ids = {json.loads(encode_event(hub, ALARM._replace(heard_s=heard)))["id"] for hub, heard in (("a", 1), ("b", 2))}
    assert ids == {"7-15-temperature_high"}
    assert json.loads(encode_event("a", ALARM._replace(alarm_reason=12)))["id"] == "7-15-12"


def test_sample_that_is_no_alarm_is_no_event() -> None:
    with pytest.raises(ValueError, match="no alarm"):
        encode_event("hub-1", ALARM._replace(alarm_reason=None))
