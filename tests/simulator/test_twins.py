"""What twins do reaches the oracle and the ledger, whatever the gateway says of it."""

import numpy as np
import pytest

from tagfleet.ledger import Ledger
from tagfleet.oracle import NonceOracle, NonceReuse
from tagfleet.twin.counters import UnknownSeal, sealed_under
from tagfleet.twins import TwinWatch, twin_provisions
from tagwire import alarm, fields
from tagwire.beacon import seal_beacon
from tagwire.bulk import ReadingColumns
from tagwire.counter import make_counter
from tagwire.fields import Reading
from tagwire.keys import beacon_key
from tagwire.seal import aes128

TAG_ID = 1
NOW_US = 1_774_000_000_000_000
READING = Reading(None, None, 20_000, 50_000, 3_700, 0, 0, None, 0)
[PROVISION] = twin_provisions(seed=1, first_tag_id=TAG_ID, twins=1, interval_s=5)
ENCRYPT = aes128(beacon_key(PROVISION.root_key, PROVISION.generation))
FIRST = make_counter(PROVISION.generation, 0)


def test_twins_have_the_settings_of_the_scenario() -> None:
    [twin] = twin_provisions(1, TAG_ID, 1, 5, {"temperature_high_mc": 8_000})
    assert twin.settings == PROVISION.settings | {"temperature_high_mc": 8_000}


def frame(counter: int, body: bytes = bytes(11)) -> bytes:
    return seal_beacon(ENCRYPT, TAG_ID, counter, body)


def watch_after(*counters: int) -> tuple[TwinWatch, Ledger]:
    """A watch over a twin that made and advertised these, each with a body of its own."""
    ledger = Ledger.for_tags([TAG_ID], NOW_US)
    watch = TwinWatch([PROVISION], ledger, NonceOracle())
    for counter in counters:
        watch.made(TAG_ID, counter, READING, NOW_US)
        watch.advertised(TAG_ID, frame(counter, bytes([counter & 0xFF]) * 11), NOW_US)
    return watch, ledger


@pytest.mark.parametrize("is_alarm", [True, False])
def test_alarm_of_a_twin_is_held_against_what_an_alarm_has_room_for(is_alarm: bool) -> None:
    truth = Reading(379_677_427, 220_035_790, 20_000, 50_000, 3_700, 1, 0, NOW_US // 1_000_000, fields.TIME_GNSS)
    ledger = Ledger.for_tags([TAG_ID], NOW_US)
    TwinWatch([PROVISION], ledger, NonceOracle()).made(TAG_ID, FIRST, truth, NOW_US, is_alarm)
    told = alarm.alarm_reading(alarm.alarm_codes(truth, alarm.REASON_TEMPERATURE_HIGH))
    columns = ReadingColumns(*(np.array([value]) for value in told))._replace(time_s=np.array([NOW_US // 1_000_000]))
    ledger.arrived(np.array([TAG_ID]), np.array([FIRST]), columns, NOW_US + 1_000)
    assert ledger.account().verdict.counts["delivered" if is_alarm else "wrong"] == 1


@pytest.mark.parametrize("again", range(4))
def test_counter_used_again_is_nonce_reuse_wherever_it_comes(again: int) -> None:
    watch, _ = watch_after(*range(FIRST, FIRST + 4))
    watch.advertised(TAG_ID, frame(FIRST + again, bytes([again]) * 11), NOW_US)  # the same frame is a repeat
    with pytest.raises(NonceReuse):
        watch.advertised(TAG_ID, frame(FIRST + again, b"\x99" * 11), NOW_US)


@pytest.mark.parametrize("counter", [FIRST, FIRST + 1, FIRST + 0xFFFF, FIRST + 0x10000, FIRST + 0xFFFFFF])
@pytest.mark.parametrize("near", [FIRST, FIRST + 0x123456, FIRST + 0xFFFFFF])
def test_counter_is_found_from_anywhere_in_its_generation(counter: int, near: int) -> None:
    assert sealed_under(ENCRYPT, frame(counter), near) == counter


@pytest.mark.parametrize(
    "foreign",
    [
        seal_beacon(aes128(bytes(16)), TAG_ID, FIRST, bytes(11)),
        frame(FIRST)[:-1] + bytes([frame(FIRST)[-1] ^ 1]),
        frame(FIRST)[:-1],
    ],
)
def test_frame_that_the_key_does_not_open_is_said(foreign: bytes) -> None:
    watch, ledger = watch_after(FIRST)
    with pytest.raises(UnknownSeal):
        watch.advertised(TAG_ID, foreign, NOW_US)
    watch.reported(TAG_ID, foreign, NOW_US)
    assert ledger.account().wrong == 0


def test_twins_sample_that_a_radio_reported_and_no_gateway_took_is_lost() -> None:
    watch, ledger = watch_after(FIRST, FIRST + 1)
    watch.reported(TAG_ID, frame(FIRST, bytes([FIRST & 0xFF]) * 11), NOW_US + 5)
    account = ledger.account()
    assert (account.lost, account.unheard) == (1, 1)
