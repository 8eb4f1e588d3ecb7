"""One wake of a tag: does what `cycle` says, by what `decide` decides, and ends in deep sleep."""

import time

from machine import DEEPSLEEP_RESET, RTC, WDT, WDT_RESET, Pin, deepsleep, reset_cause, soft_reset, wake_reason

from tag import clock, cycle, decide
from tag.begin import unload
from tag.boards import load_board
from tag.cycle import BROKEN, DONE, OPEN, REPEAT, SILENT
from tag.faults import BATTERY_LOW, CLOCK_LOST, CRASH_LOOP, SETTINGS, STORAGE, ServiceNeeded
from tag.pending import WRITE_RECORDS
from tag.radio import advertise
from tag.reading import known_time, make_reading
from tag.state import State, decode_state, encode_state
from tagwire.advertise import (
    HINT_BACKLOG,
    KIND_ALARM,
    KIND_SAMPLE,
    advertisement,
    epoch_of,
    seal_beacon,
)
from tagwire.fields import MOTION_MOVING, MOTION_UNKNOWN, TIME_GNSS, TIME_UNKNOWN, pack_body, to_codes
from tagwire.seal import aes128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.boards import Board
    from tag.config import Config
    from tag.sensors.nmea import Fix

FAILED_SLEEP_S = 600
EMPTY_SLEEP_S = 3600  # a battery that is too low does not mend within minutes
CRASHES_MAX = 5  # in a row; then only every sixth wake tries to work
CRASH_RETRY = 6
SHOWN_S = 600  # after power-on a person may be looking: the LED blinks
WATCHDOG_MS = 60000  # several times what the longest step takes without feeding it
WAKE_TIMER = 4  # machine.wake_reason() of a sleep that ended by itself; any other one is a pin


class Tag:
    """What one wake knows. `state` is what the next one will know."""

    def __init__(self) -> None:
        self.started_ms = time.ticks_ms()
        self.is_reset = reset_cause() != DEEPSLEEP_RESET
        self.by_pin = not self.is_reset and wake_reason() != WAKE_TIMER
        self.config: "Config | None" = None
        self.broken: "ServiceNeeded | None" = None
        self.sleep_ms = FAILED_SLEEP_S * 1000
        self.state: State
        self.board: "Board"
        self.watchdog: "WDT | None" = None
        self.opens = False  # the connectable window
        self.known = False  # whether there is a state
        self._made = False  # a sample, in this wake
        self._gnss_s = 0
        self._fix: "Fix | None" = None
        self._opened = False
        self._shocked = False
        self._woken_for_nothing = False

    def feed(self) -> None:
        """Tell the watchdog that all is well; whoever may take longer than seconds calls this."""
        if self.watchdog is not None:
            self.watchdog.feed()

    def store(self) -> None:
        """Write the state to RTC memory, where deep sleep keeps it."""
        RTC().memory(encode_state(self.state))

    def wake(self) -> int:
        state = decode_state(RTC().memory())
        if state is not None and not self.is_reset and not state.reload:
            self.config = state.config
            self.watchdog = WDT(timeout=WATCHDOG_MS)
        else:
            state = self._wake_from_flash(state)
        self.state = state
        self.known = True
        mode = ("tracking", "shelf", "flight").index(state.config.settings.mode)
        if mode != state.mode:
            state.mode = mode
            state.mode_uptime_s = state.uptime_s
        state.reload = 0
        return DONE

    def _wake_from_flash(self, state: "State | None") -> State:
        """Who the tag is has to be read anew; what RTC memory knew is still true if it is of the same tag."""
        from tag.counter import cold_start, resume
        from tag.provisioning import load_config, repl_window

        config = load_config()
        self.config = config
        unload("tag.provisioning", "tag.settings", "tag.changes", "tagwire.provision", "tagwire.keys")
        if self.is_reset:
            repl_window(config.settings.repl_window_s)
        self.watchdog = WDT(timeout=WATCHDOG_MS)
        if (
            state is None
            or state.config.tag_id != config.tag_id
            or state.config.beacon_key != config.beacon_key
            or not resume(config.generation, state.next_counter, state.limit)
        ):
            from tag.places import read_limits

            next_counter = cold_start(config.generation, read_limits(), config.provisioned)
            state = State(config, next_counter, next_counter)
            state.seen_s = clock.now_s()
        unload("tag.places", "tagwire.provision", "tag.counter", "tagwire.counter")
        state.config = config
        return state

    def restore(self) -> int:
        state = self.state
        now_s = clock.now_s()
        elapsed_s = decide.elapsed_s(state, now_s)
        if elapsed_s is None:  # the clock has jumped, by years perhaps: what it says is worth nothing now
            state.time_quality = TIME_UNKNOWN
            elapsed_s = state.planned_s
        state.uptime_s += elapsed_s
        state.seen_s = now_s
        state.planned_s = 0
        state.wakes = (state.wakes + 1) & 0xFFFF
        if reset_cause() == WDT_RESET:
            from tag.trouble import bitten

            bitten(self)
        state.crashes = min(state.crashes + 1, 255)  # until this wake has ended well
        self.store()
        over = state.crashes - 1 - CRASHES_MAX
        if over >= 0 and (over + 1) % CRASH_RETRY:
            raise ServiceNeeded(CRASH_LOOP, "%d crashes in a row" % (state.crashes - 1))
        try:
            self.board = load_board(state.config.board)
        except ImportError:
            raise ServiceNeeded(SETTINGS, "board %s is not known" % state.config.board)
        if self.by_pin and state.config.settings.accelerometer != "none":
            state.motion = MOTION_MOVING
        if not state.repeats or self.by_pin:
            return DONE
        state.repeats -= 1
        return REPEAT

    def gnss_start(self) -> int:
        self._gnss_s = decide.gnss_timeout_s(self.state.config.settings, self.state)
        Pin(self.board.gnss_power, Pin.OUT, value=1 if self._gnss_s else 0)
        return DONE

    def sample(self) -> int:
        from tag import measure

        state = self.state
        settings = state.config.settings
        climate, faults = measure.read_climate(self.board, settings)
        battery_mv, fault = measure.read_battery(self.board)
        if battery_mv is not None and battery_mv < settings.battery_stop_mv:
            self._stop(battery_mv)
        faults |= fault
        asked = measure.sensors_of(settings, self._gnss_s > 0)
        stirred = None
        if settings.accelerometer != "none":
            from tag.motion import felt

            asked |= measure.ACCELEROMETER
            stirred, self._shocked, fault = felt(self.board, settings)
            faults |= fault
        if settings.tamper:
            self._opened = Pin(self.board.tamper, Pin.IN, Pin.PULL_UP).value() == 1
        self._woken_for_nothing = self.by_pin and not (stirred or self._shocked or self._opened)
        if self._gnss_s:
            try:
                self._fix, fault = measure.read_gnss(self.board, settings, self._gnss_s, self.feed)
            finally:
                Pin(self.board.gnss_power, Pin.OUT, value=0)
            faults |= fault
            state.gnss_failures = 0 if self._fix else min(state.gnss_failures + 1, 255)
        if faults & ~state.faults:
            print("not available: sensors 0x%02x" % faults)
        state.sensors |= asked & ~faults
        state.faults = state.faults & ~asked | faults
        self._measured = climate, battery_mv, stirred
        return DONE

    def _stop(self, battery_mv: int) -> None:
        """Too little charge for a sample: keep what RTC memory holds, and wait for a better one."""
        Pin(self.board.gnss_power, Pin.OUT, value=0)
        if self.state.pending.count():
            self._write_journal()
        self.sleep_ms = EMPTY_SLEEP_S * 1000
        raise ServiceNeeded(BATTERY_LOW, "battery at %d mV" % battery_mv)

    def decide(self) -> int:
        state = self.state
        settings = state.config.settings
        fix = self._fix
        now_s = clock.now_s()  # once: what is said of this sample has one time
        uptime_s = self.uptime_s(now_s)
        climate, battery_mv, stirred = self._measured
        motion = decide.motion_of(None if fix is None else fix.speed_mmps, stirred)
        reading = make_reading(fix, climate, battery_mv, motion, state, now_s, settings.clock_hold_h * 3600)
        if self._gnss_s:
            state.gnss_uptime_s = uptime_s
        if fix is not None:
            clock.set_now(state, fix.time_s, TIME_GNSS)
            state.fix_time_s, state.latitude_e7, state.longitude_e7 = fix.time_s, fix.latitude_e7, fix.longitude_e7
            state.fix_uptime_s = uptime_s
        if motion != MOTION_UNKNOWN:
            state.motion = motion
        trip = decide.on_trip(settings, reading.time_s)
        codes = to_codes(reading)
        kind = KIND_SAMPLE
        if decide.is_watched(state.config.watches, state):
            from tag.alarms import judge, take_reason
            from tagwire.alarm import with_reason

            judge(settings, state, codes, uptime_s - state.sample_uptime_s, self._opened, self._shocked, trip)
            reason = take_reason(state)
            if reason is not None:
                codes = with_reason(codes, reason)
                kind = KIND_ALARM
        counter = self._take_counter()
        state.counter, state.kind, state.body = counter, kind, pack_body(codes)
        state.sample_uptime_s = uptime_s
        state.interval_s = decide.interval_s(settings, state, trip)
        state.repeats = decide.repeats(settings, state)
        if not state.pending.takes(counter):
            self._write_journal()
        if not state.pending.takes(counter):
            state.pending.give_up()
        time_4s = 0 if reading.time_s is None else (reading.time_s + 2) // 4
        state.pending.add(counter, state.body, time_4s, kind == KIND_ALARM)
        self.store()
        self._made = True
        print("tag %d sample %d: %s" % (state.config.tag_id, counter, reading))
        return DONE

    def _take_counter(self) -> int:
        """A counter that was never used before and, whatever happens from here on, never will be again."""
        state = self.state
        counter = state.next_counter
        if counter >= state.limit:
            from tag.counter import raised_limit
            from tag.places import write_limit

            limit = raised_limit(counter)
            for complaint in write_limit(limit):
                print(complaint)
            state.limit = limit
        state.next_counter = counter + 1
        state.repeats = 0  # the sample in the state is the one before: not to be repeated under this counter
        self.store()
        return counter

    def journal(self) -> int:
        state = self.state
        if state.pending.is_due():
            self._write_journal()
        if state.pending.unsettled is None:
            from tag.pending import folder_of
            from tag.room import count_unsettled

            try:
                state.pending.unsettled = count_unsettled(folder_of(state.config.tag_id), state.pending)
            except OSError as error:
                print("journal: %r" % error)
        unload("tag.room", "tag.settled", "tagwire.ranges")
        return SILENT if decide.radio_is_off(state.config.settings, state) else DONE

    def _write_journal(self) -> None:
        """Put the samples that wait into flash; where it refuses them, they wait on."""
        from tag.journal import Journal  # loaded every eighth time

        state = self.state
        try:
            Journal(state.config.tag_id, state.pending, state.config.settings.journal_kb).write()
            self.store()
        except OSError as error:
            print("journal: %r" % error)

    def advertise(self) -> int:
        state = self.state
        settings = state.config.settings
        unsettled = state.pending.unsettled or 0
        hints = HINT_BACKLOG if decide.has_backlog(settings, unsettled) else 0
        fast_s = settings.alarm_burst_s if self._made and state.kind == KIND_ALARM else 0
        try:
            frame = self.frame(hints)
            reason = STORAGE if state.pending.count() > WRITE_RECORDS else 0  # flash has refused them
            if frame is None:
                reason = CLOCK_LOST
            else:
                advertise(
                    advertisement(state.config.company_id, frame),
                    settings.burst_events,
                    settings.burst_interval_ms,
                    fast_s,
                    settings.private_ids > 0,
                    self.feed,
                )
            if reason and self._made:
                from tag.trouble import say

                say(self, reason)
            if frame is None:
                return DONE
        except OSError as error:
            print("radio: %r" % error)  # the next burst may go better
            return DONE
        if self._made and state.uptime_s < SHOWN_S:
            from tag.led import ALARM_BLINKS, SAMPLE_BLINKS, blink

            blink(self.board, ALARM_BLINKS if state.kind == KIND_ALARM else SAMPLE_BLINKS)
        return OPEN if decide.window_is_due(settings, unsettled, state.wakes) else DONE

    def frame(self, hints: int) -> "bytes | None":
        """The last sample's beacon with these hints; None: its id is private and the tag does not know the time."""
        state = self.state
        config = state.config
        encrypt_id = None
        epoch = 0
        if config.settings.private_ids:
            now_s, _ = known_time(state, clock.now_s(), config.settings.clock_hold_h * 3600)
            if now_s is None:
                return None
            encrypt_id = aes128(config.id_key)
            epoch = epoch_of(now_s)
        encrypt = aes128(config.beacon_key)
        return seal_beacon(encrypt, config.tag_id, state.counter, state.body, hints, state.kind, encrypt_id, epoch)

    def window(self) -> int:
        """Hubs may connect, in a run of its own: see `begin`."""
        self.opens = True
        return DONE

    def service(self) -> int:
        from tag.trouble import serve

        return serve(self)

    def sleep(self) -> None:
        """Deep sleep, prepared by whatever happened in this wake."""
        if self.known and self.broken is None:
            state = self.state
            awake_ms = time.ticks_diff(time.ticks_ms(), self.started_ms)
            settings = state.config.settings
            bursts = decide.repeats(settings, state)
            self.sleep_ms = decide.sleep_ms(state.interval_s, bursts, awake_ms, state.alarms_unsent > 0)
            state.crashes = 0
            # A pin that has woken it for nothing, stuck or loose, does not get to do so again before the timer has.
            if not self._woken_for_nothing and (settings.accelerometer != "none" or settings.tamper):
                from tag.motion import arm

                # Never by what it has just told: a truck that rattles does not get a sample of each blow.
                arm(
                    self.board,
                    settings,
                    state.motion != MOTION_MOVING,
                    not self._shocked,
                    not self._opened,
                )
        self.end(self.sleep_ms)

    def end(self, sleep_ms: int) -> None:
        """Store how long is slept, and sleep."""
        if self.known:
            state = self.state
            now_s = clock.now_s()
            state.uptime_s = self.uptime_s(now_s)
            state.seen_s = now_s
            state.planned_s = sleep_ms // 1000 + 1
            state.window_ms = sleep_ms if self.opens else 0
            self.store()
        if self.opens:
            soft_reset()
        deepsleep(sleep_ms)

    def enter(self, phase: int) -> None:
        """Go on to that phase; should the chip stop in it, the next wake knows."""
        self.feed()
        if self.known and phase != cycle.ASLEEP:
            self.state.phase = phase
            self.store()

    def uptime_s(self, now_s: int) -> int:
        """Seconds since power came, the clock being at `now_s`."""
        return self.state.uptime_s + max(now_s - self.state.seen_s, 0)


ACTIONS = {
    cycle.WAKE: Tag.wake,
    cycle.RESTORE: Tag.restore,
    cycle.GNSS_START: Tag.gnss_start,
    cycle.SAMPLE: Tag.sample,
    cycle.DECIDE: Tag.decide,
    cycle.JOURNAL: Tag.journal,
    cycle.ADVERTISE: Tag.advertise,
    cycle.WINDOW: Tag.window,
    cycle.SERVICE: Tag.service,
}


def main() -> None:
    """Does not return: it ends in deep sleep, or in the prompt after Ctrl-C."""
    tag = Tag()
    phase = cycle.WAKE
    try:
        while phase != cycle.ASLEEP:
            try:
                outcome = ACTIONS[phase](tag)
            except ServiceNeeded as error:
                tag.broken = error
                outcome = BROKEN
            phase = cycle.TABLE[(phase, outcome)]
            tag.enter(phase)
        tag.sleep()
    except KeyboardInterrupt:
        if tag.watchdog is not None:
            from tag.watchdog import keep_fed

            keep_fed(tag.watchdog)
        raise
    except Exception as error:
        from tag.trouble import crashed

        crashed(tag, error)
