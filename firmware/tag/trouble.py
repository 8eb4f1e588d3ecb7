"""What a tag does when it cannot do its work: says so, stays reachable, does not drain its battery. Loaded then."""

import sys
import time
from io import StringIO

from tag import clock
from tag.cycle import DONE
from tag.faults import CRASH_LOOP
from tag.led import SERVICE_BLINKS, blink
from tag.log import log
from tag.radio import advertise
from tag.service import board_of, service_advertisement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.app import Tag

WINDOW_S = 30  # longer than a healthy tag's, as its settings may be what is broken
CRASH_SLEEP_S = 60
FAILED_SLEEP_S = 600


def serve(tag: "Tag") -> int:
    """Ask for service, on the console and on the air; after a reset, be reachable at the console."""
    broken = tag.broken
    if broken is not None:
        if tag.known and broken.reason != CRASH_LOOP:
            tag.state.crashes = 0
        print("service needed: %s" % broken)
        try:
            say(tag, broken.reason)
        except OSError as error:
            print("radio: %r" % error)
    _wait_for_a_person(tag)
    return DONE


def say(tag: "Tag", reason: int) -> None:
    """A burst of service beacons, not sealed. May raise OSError."""
    state = tag.state if tag.known else None
    # Nobody sets the clock of a tag that does not work: it began at 2000 when power came.
    now_s = clock.now_s()
    uptime_s = max(now_s - clock.EPOCH_2000_S, 0) if state is None else tag.uptime_s(now_s)
    adv_data = service_advertisement(tag.config, state, reason, uptime_s)
    advertise(adv_data, 12, 25, 0, False, tag.feed)
    board = board_of(tag.config)
    if board is not None:
        blink(board, SERVICE_BLINKS)


def crashed(tag: "Tag", error: Exception) -> None:
    """An error that nothing was prepared for: keep it for whoever asks, and try again in a while."""
    text = StringIO()
    sys.print_exception(error, text)
    log(text.getvalue())
    _wait_for_a_person(tag)
    tag.end((CRASH_SLEEP_S if tag.known else FAILED_SLEEP_S) * 1000)


def bitten(tag: "Tag") -> None:
    """The watchdog has ended the wake before this one."""
    log("watchdog in phase %d, %d s after power-on" % (tag.state.phase, tag.state.uptime_s))


def _wait_for_a_person(tag: "Tag") -> None:
    if tag.is_reset:
        tag.feed()
        print("Ctrl-C within %d s stops this tag" % WINDOW_S)
        time.sleep(WINDOW_S)
