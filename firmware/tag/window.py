"""The connectable window: hubs come in turn, and are served until it is over. A run of its own, see `begin`.

SPEC.md, "GATT service", says when it opens and what a tag does with frames that are none.
"""

import gc
import os
import sys
import time
from io import StringIO

from machine import RTC, WDT, Pin, deepsleep, reset

from tag import VERSION
from tag.boards import load_board
from tag.gatt import Gatt
from tag.log import log
from tag.session import SessionTag
from tag.state import encode_state
from tagwire.advertise import HINT_BACKLOG, HINT_CONNECTABLE, advertisement, epoch_of, seal_beacon
from tagwire.errors import REASON_FLOW, REASON_LENGTH, DecodeError, EncodeError
from tagwire.gatt_ids import CONNECTION_S, IDLE_S, WINDOWS_S, Info, encode_info, frame_bytes
from tagwire.provision import PROVISION_FILE, decode_provision
from tagwire.seal import aes128
from tagwire.session import TYPE_SEALED, TagHandshake
from tagwire.session import VERSION as PROTOCOL
from tagwire.tagend import TagEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tag.state import State

POLL_MS = 10
LINGER_MS = 500  # for the last reply to get out before the tag disconnects
WATCHDOG_MS = 60000
SLEEP_MIN_MS = 10
BLINK_MS = 250  # two flashes a second


class Window:
    """One wake's windows. refused: how many frames were refused, by reason. proven: sessions with hubs.

    led: its pin, None where the board has none.
    """

    def __init__(self, tag: SessionTag, led: "int | None", feed: "Callable[[], None]") -> None:
        self.refused: "dict[str, int]" = {}
        self.proven = 0
        self._tag = tag
        self._feed = feed
        self._gatt = Gatt()
        self._led = None if led is None else Pin(led, Pin.OUT, value=0)

    def serve(self, adv_data: bytes, interval_ms: int, window_s: int, board: int, private: bool) -> None:
        """Advertise connectable for `window_s`, and again after each proven session; until nobody comes. Raises OSError
        when the radio does not start."""
        gatt = self._gatt
        opened_ms = started_ms = time.ticks_ms()
        try:
            gatt.start(encode_info(Info(PROTOCOL, VERSION, board)), private)
            while not self._tag.ends and _within(opened_ms, window_s) and _within(started_ms, WINDOWS_S):
                gatt.advertise(adv_data, interval_ms)
                while gatt.connection is None and _within(opened_ms, window_s):
                    self._pause()
                if gatt.connection is None:
                    break
                if self._converse():
                    self.proven += 1
                    opened_ms = time.ticks_ms()
        finally:
            gatt.stop()
        while self._tag.identify_until_ms is not None and not self._tag.reboots:
            self._pause()

    def _converse(self) -> bool:
        """Serve the connection until it ends; whether a hub has proven itself."""
        gatt = self._gatt
        handshake = TagHandshake(self._tag.state.config.tag_id, self._tag.key_for, os.urandom)
        end: "TagEnd | None" = None
        waiting = b""  # a frame that the link had no room for: the same bytes go later
        heard_ms = connected_ms = time.ticks_ms()
        try:
            while gatt.connection is not None and _within(heard_ms, IDLE_S) and _within(connected_ms, CONNECTION_S):
                frame = gatt.next_frame()
                if frame is not None:
                    if end is None:
                        end = TagEnd(handshake, self._tag, frame_bytes(gatt.mtu))
                    if self._take(end, frame):
                        heard_ms = time.ticks_ms()
                    continue
                if gatt.overrun:
                    raise DecodeError(REASON_FLOW, "frames came faster than they were read")
                if end is not None and not waiting:
                    waiting = end.next_frame() or b""
                if not waiting and self._tag.ends:
                    self._linger()
                    break
                if waiting and gatt.notify(waiting):
                    waiting = b""
                    if handshake.channel is not None:
                        heard_ms = time.ticks_ms()
                else:
                    self._pause()
        except DecodeError as error:
            self._count(error.reason)
        except EncodeError as error:  # an MTU that is too small, or 65,536 frames
            self._count(REASON_LENGTH)
            print("session: %s" % error)
        except OSError as error:  # flash, for a hub that is proven: nobody else gets to it
            log("session: %r" % error)
        except MemoryError as error:
            end = None
            gc.collect()
            (print if handshake.channel is None else log)("session: %r" % error)
        gatt.disconnect()
        left_ms = time.ticks_ms()
        while gatt.connection is not None and _within(left_ms, IDLE_S):
            self._pause()
        return handshake.channel is not None

    def _take(self, end: TagEnd, frame: bytes) -> bool:
        """Whether the frame was an authentic one. Raises DecodeError when the connection has to end."""
        try:
            end.receive(frame)
        except DecodeError as error:
            if error.reason == REASON_FLOW:
                raise
            self._count(error.reason)
            return False
        return frame[0] >> 2 == TYPE_SEALED

    def _count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def _linger(self) -> None:
        started_ms = time.ticks_ms()
        while self._gatt.connection is not None and time.ticks_diff(time.ticks_ms(), started_ms) < LINGER_MS:
            self._pause()

    def _pause(self) -> None:
        """Let the radio work, and blink for who looks for the tag."""
        self._feed()
        time.sleep_ms(POLL_MS)
        until_ms = self._tag.identify_until_ms
        if until_ms is not None:
            left_ms = time.ticks_diff(until_ms, time.ticks_ms())
            lit = left_ms > 0 and left_ms // BLINK_MS % 2 == 0
            if self._led is not None and lit != bool(self._led.value()):
                self._led.value(int(lit))
            if left_ms <= 0:
                self._tag.identify_until_ms = None


def _within(since_ms: "Any", limit_s: int) -> bool:
    return time.ticks_diff(time.ticks_ms(), since_ms) < limit_s * 1000


def run(state: "State") -> None:
    """The window of a wake that has ended in a soft reset. Does not return: it ends in deep sleep, or in a reset."""
    started_ms = time.ticks_ms()
    sleep_ms = state.window_ms
    state.window_ms = 0
    watchdog = WDT(timeout=WATCHDOG_MS)

    def store() -> None:
        RTC().memory(encode_state(state))

    store()
    resets = False
    try:
        resets = _open(state, store, watchdog.feed)
    except KeyboardInterrupt:
        from tag.watchdog import keep_fed

        keep_fed(watchdog)
        raise
    except Exception as error:  # whatever it is, the tag goes on with its samples
        text = StringIO()
        sys.print_exception(error, text)
        log("window: %s" % text.getvalue())
    store()
    if resets:
        reset()
    deepsleep(max(sleep_ms - time.ticks_diff(time.ticks_ms(), started_ms), SLEEP_MIN_MS))


def _open(state: "State", store: "Callable[[], None]", feed: "Callable[[], None]") -> bool:
    """Whether the tag has to be reset. Raises OSError when the radio does not start or a file cannot be read,
    DecodeError when the provisioning file is damaged."""
    config = state.config
    settings = config.settings
    with open(PROVISION_FILE, "rb") as file:
        tag = SessionTag(decode_provision(file.read()), state, store)
    epoch = 0
    encrypt_id = None
    if settings.private_ids:
        now_s = tag.known_time_s()
        if now_s is None:
            return False
        epoch = epoch_of(now_s)
        encrypt_id = aes128(config.id_key)
    hints = HINT_CONNECTABLE | (HINT_BACKLOG if tag.unsettled() >= settings.window_unsettled else 0)
    encrypt = aes128(config.beacon_key)
    frame = seal_beacon(encrypt, config.tag_id, state.counter, state.body, hints, state.kind, encrypt_id, epoch)
    adv_data = advertisement(config.company_id, frame)
    board = load_board(config.board)
    window = Window(tag, board.led, feed)
    window.serve(adv_data, settings.burst_interval_ms, settings.window_s, board.number, encrypt_id is not None)
    print("window: %d sessions, refused %r" % (window.proven, window.refused))
    return tag.reboots
