"""Delays, caps, refusals, suspects, halves and link profiles: the pure rules around the uplink."""

import threading
from pathlib import Path

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from taghub.backoff import FIRST_S, LONGEST_S, STABLE_S, Backoff
from taghub.closed_batch import LANE_LIVE, ClosedBatch, sample_keys
from taghub.mqtt_client import end_thread
from taghub.pacing import BURST_BYTES, Pacer
from taghub.refusals import PAUSE, POISON, RETRY, SPLIT, refusal
from taghub.settings import load_settings
from taghub.split import halves
from taghub.suspects import BLAMES_MAX, Suspects
from tagwire.batch import COLUMNS, Batch, encode_batch

SETTINGS = """
[hub]
id = "hub-1"
site = "demo"
{hub}
[keyring]
path = "keyring.jsonl"
[[radio]]
kind = "air"
listen = "127.0.0.1:7700"
[mqtt]
host = "broker"
{mqtt}
"""


def test_delays_grow_to_a_bound_and_begin_anew_after_a_stable_time() -> None:
    backoff = Backoff()
    delays = [backoff.down_s(0.0) for _ in range(200)]
    assert all(FIRST_S <= delay <= LONGEST_S for delay in delays)
    assert delays[0] == FIRST_S
    assert max(delays) > LONGEST_S / 2
    backoff.up(100.0)
    backoff.down_s(101.0)  # up for a second is not up
    backoff.up(200.0)
    assert backoff.down_s(200.0 + STABLE_S) == FIRST_S


def test_cap_is_kept_and_a_first_batch_goes_at_once() -> None:
    pacer, now_s, sent = Pacer(1_000), 0.0, 0
    while sent < 200_000:
        assert pacer.delay_s(now_s) == 0.0
        pacer.spend(10_000)
        sent += 10_000
        now_s += pacer.delay_s(now_s)
    assert abs(now_s - (200_000 - BURST_BYTES) / 1_000) < 0.1
    free = Pacer(0)
    free.spend(1 << 40)
    assert free.delay_s(0.0) == 0.0


def test_refusals_have_their_own_reactions() -> None:
    codes = {0x87: PAUSE, 0x90: PAUSE, 0x97: PAUSE, 0x95: SPLIT, 0x99: POISON, 0x80: RETRY, 0xFE: RETRY}
    assert {code: refusal(code).action for code in codes} == codes


def test_batch_is_guilty_only_when_others_get_through() -> None:
    suspects = Suspects()
    assert not any(suspects.blame(7, splittable=False) for _ in range(100))  # a bad link
    for other in range(BLAMES_MAX - 2):
        suspects.acknowledged(other)
        assert not suspects.blame(7, splittable=False)
    suspects.acknowledged(99)
    assert suspects.blame(7, splittable=False)


@pytest.mark.parametrize("splittable", [True, False])
def test_status_that_gets_through_proves_only_what_costs_nothing(splittable: bool) -> None:
    suspects = Suspects()
    found = []
    for _ in range(BLAMES_MAX):
        found.append(suspects.blame(7, splittable))
        suspects.status_acknowledged()
    assert any(found) == splittable


def test_halves_have_the_same_samples_and_new_numbers() -> None:
    columns = {name: np.full(5, max(0, column.minimum)) for name, column in COLUMNS.items()}
    columns["counter"] = np.arange(5)
    whole = ClosedBatch(1, LANE_LIVE, 9, 5, encode_batch(Batch("hub-1", 1, 9, 2, None, columns)))
    numbers = iter((10, 11))
    first, second = halves(whole, lambda: next(numbers))
    assert [(part.sequence, part.samples, part.created_s) for part in (first, second)] == [(10, 2, 9), (11, 3, 9)]
    assert sorted(sample_keys(first) + sample_keys(second)) == sorted(sample_keys(whole))


def test_profile_stands_for_what_the_file_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"

    def values(hub: str, mqtt: str = "") -> tuple[float, float, int, bool]:
        path.write_text(SETTINGS.format(hub=hub, mqtt=mqtt), "utf-8")
        settings = load_settings(path)
        assert settings.mqtt is not None
        mqtt_settings = settings.mqtt
        ages = settings.batch.max_age_s, settings.hub.status_interval_s
        return *ages, mqtt_settings.keepalive_s, mqtt_settings.describe

    assert values("") == values('profile = "desk"') == (1.0, 10.0, 5, True)
    assert values('profile = "truck"') == (60.0, 3600.0, 60, False)
    assert values('profile = "metered"\nstatus_interval_s = 60', "keepalive_s = 30") == (300.0, 60.0, 30, False)


def test_thread_that_forgets_itself_between_a_look_and_a_join_has_ended() -> None:
    class Forgetful(Client):
        """As paho's client is when its thread ends amid `loop_stop`."""

        looks = 0

        @property
        def _thread(self) -> threading.Thread | None:
            self.looks += 1
            return threading.Thread() if self.looks <= 2 else None

        @_thread.setter
        def _thread(self, thread: threading.Thread | None) -> None:
            pass

    client = Forgetful(CallbackAPIVersion.VERSION2)
    end_thread(client)
    assert client.looks == 3
