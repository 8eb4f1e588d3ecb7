"""One wake of a tag: a new sample or another burst of the last one, then deep sleep."""

import sys
import time

from machine import DEEPSLEEP_RESET, RTC, deepsleep, reset_cause

from tag import clock
from tag.boards import load_board
from tag.counter import CounterLost, cold_start, raised_limit, resume
from tag.cycle import make_reading
from tag.measure import measure
from tag.radio import advertise
from tag.settings import read_settings
from tag.state import State, decode_state, encode_state
from tagwire.beacon import advertisement, seal_beacon
from tagwire.errors import TagwireError
from tagwire.fields import pack_body, to_codes
from tagwire.keys import beacon_key
from tagwire.provision import PROVISION_FILE, decode_provision
from tagwire.seal import aes128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.settings import Settings
    from tagwire.provision import Provision

FAILED_WINDOW_S = 30  # a tag that cannot work stays reachable for longer, as its settings may be what is broken
FAILED_SLEEP_S = 600
SLEEP_MIN_MS = 10


class ServiceNeeded(Exception):
    """The tag must not make samples before a person has looked at it."""


def main() -> None:
    """Does not return: it ends in deep sleep, or in the prompt after Ctrl-C."""
    try:
        sleep_ms = wake()
    except Exception as error:  # whatever it is: say it, stay reachable, do not drain the battery
        if isinstance(error, (ServiceNeeded, CounterLost)):
            print("service needed: %s" % error)
        else:
            sys.print_exception(error)
        if reset_cause() != DEEPSLEEP_RESET:
            repl_window(FAILED_WINDOW_S)
        sleep_ms = FAILED_SLEEP_S * 1000
    deepsleep(sleep_ms)


def wake() -> int:
    """Do what is due now. The milliseconds to sleep until the next wake."""
    started_ms = time.ticks_ms()
    provision = load_provision()
    settings, complaints = read_settings(provision.settings)
    for complaint in complaints:
        print(complaint)
    if reset_cause() != DEEPSLEEP_RESET:
        repl_window(settings.repl_window_s)
    state = load_state(provision)
    if state.repeats:
        state.repeats -= 1
        store_state(state)
    else:
        take_sample(provision, settings, state)
    try:
        adv_data = advertisement(provision.company_id, state.frame)
        advertise(adv_data, settings.burst_events, settings.burst_interval_ms)
    except OSError as error:
        print("radio: %r" % error)  # the next burst may go better
    slot_ms = settings.interval_s * 1000 // (1 + settings.burst_repeats)
    return max(slot_ms - time.ticks_diff(time.ticks_ms(), started_ms), SLEEP_MIN_MS)


def take_sample(provision: "Provision", settings: "Settings", state: State) -> None:
    """Measure, and leave the sealed beacon in the state, stored."""
    try:
        board = load_board(provision.board)
    except ImportError:
        raise ServiceNeeded("board %s is not known" % provision.board)
    cold = state.fix_time_s == 0
    gnss_timeout_s = settings.gnss_cold_timeout_s if cold else settings.gnss_hot_timeout_s
    fix, climate, battery_mv = measure(board, gnss_timeout_s, settings.gnss_settle_s)
    reading = make_reading(fix, climate, battery_mv, state, clock.now_s(), settings.clock_hold_h * 3600)
    if fix is not None:
        clock.set_now(fix.time_s)
        state.fix_time_s, state.latitude_e7, state.longitude_e7 = fix.time_s, fix.latitude_e7, fix.longitude_e7
    counter = take_counter(state)
    encrypt = aes128(beacon_key(provision.root_key, provision.generation))
    body = pack_body(to_codes(reading))
    state.frame = seal_beacon(encrypt, provision.tag_id, counter, body)
    state.repeats = settings.burst_repeats
    if not state.pending.takes(counter):
        write_journal(provision, settings, state)
    if not state.pending.takes(counter):
        state.pending.give_up()
    state.pending.add(counter, body, 0 if reading.time_s is None else (reading.time_s + 2) // 4, False)
    store_state(state)
    if state.pending.is_due():
        write_journal(provision, settings, state)
    print("tag %d sample %d: %s" % (provision.tag_id, counter, reading))


def write_journal(provision: "Provision", settings: "Settings", state: State) -> None:
    """Put the samples that wait into flash; where it refuses them, they wait on."""
    from tag.journal import Journal  # loaded every eighth time

    try:
        Journal(provision.tag_id, state.pending, settings.journal_kb).write()
        store_state(state)
    except OSError as error:
        print("journal: %r" % error)


def take_counter(state: State) -> int:
    """A counter that was never used before and, whatever happens from here on, never will be again."""
    counter = state.next_counter
    if counter >= state.limit:
        from tag.places import write_limit

        limit = raised_limit(counter)
        for complaint in write_limit(limit):
            print(complaint)
        state.limit = limit
    state.next_counter = counter + 1
    state.repeats = 0  # the frame in the state is the one before: not to be repeated under this counter
    store_state(state)
    return counter


def load_provision() -> "Provision":
    """The tag's identity, key and settings. Raises ServiceNeeded."""
    try:
        with open(PROVISION_FILE, "rb") as file:
            return decode_provision(file.read())
    except OSError:
        raise ServiceNeeded("%s is missing" % PROVISION_FILE)
    except TagwireError as error:
        raise ServiceNeeded("%s: %s" % (PROVISION_FILE, error))


def load_state(provision: "Provision") -> State:
    """The state from RTC memory, or a fresh one from the persistent places. Raises CounterLost."""
    state = decode_state(RTC().memory(), provision.tag_id)
    if state is not None and resume(provision.generation, state.next_counter, state.limit):
        return state
    from tag.places import read_limits

    next_counter = cold_start(provision.generation, read_limits())
    return State(provision.tag_id, next_counter, next_counter)


def store_state(state: State) -> None:
    """Write the state to RTC memory, where deep sleep keeps it."""
    RTC().memory(encode_state(state))


def repl_window(window_s: int) -> None:
    """After power came: time to stop the tag and get a prompt, which deep sleep would not give."""
    if window_s:
        print("Ctrl-C within %d s stops this tag" % window_s)
        time.sleep(window_s)
