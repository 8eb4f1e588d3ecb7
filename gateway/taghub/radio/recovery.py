"""What a radio that dies or falls silent needs next: one state machine, written as a table. Pure: `now_s` comes in.

Whoever drives it does what `activity` says, and tells `on` what came of it: of a scan that it begins OPENED, FAILED or
another trouble, within a time of its own. It never ends, and never asks for two things without a pause between them: a
broken adapter costs a try every few seconds, and ever rarer resets.
"""

from typing import NamedTuple

# States.
ACTIVE = "active"  # scanning, and everybody is heard: silence means that something is wrong
PASSIVE = "passive"  # scanning for our own tags alone: silence proves nothing
PROBING = "probing"  # scanning actively for a moment, because the passive scan was silent
PROBED = "probed"  # likewise, and others were heard: the adapter works
TRIAL = "trial"  # passive again, while tags of ours are in the air: it has to hear them now
FALLBACK = "fallback"  # active, because passive does not work here
PAUSED = "paused"  # before the next step
STEPPING = "stepping"  # a step is being taken
ABSENT = "absent"  # no such adapter, or no bluetoothd
HOME = "home"  # in the table: ACTIVE, PASSIVE or FALLBACK, whichever is due

# Events.
OPENED = "opened"  # the scan runs
OURS = "ours"  # a tag was heard since the last look
OTHERS = "others"  # somebody else was
FAILED = "failed"  # the scan could not be started, or died
OFF = "off"  # somebody has switched the adapter off, or blocked it
REFUSED = "refused"  # it cannot be passive on this machine
GONE = "gone"  # the adapter, or bluetoothd, is not there any more
BACK = "back"  # it is there again
DONE = "done"  # the step was taken, whatever came of it
DUE = "due"  # the time that the state allows has passed
RETRY = "retry"  # passive scanning is worth another try

# Activities: what has to be going on.
SCAN_ACTIVE = "scan actively"
SCAN_PASSIVE = "scan passively"
IDLE = "nothing"
RESTART = "restart"  # steps: to close and open the scan, which nothing has to be done for in between
POWER_CYCLE = "power_cycle"
USB_RESET = "usb_reset"

# Counters.
COUNT_RESTARTS = "restarts"  # scans that were opened again after they had died or fallen silent
COUNT_SILENCES = "silences"
COUNT_POWER_CYCLES = "power_cycles"
COUNT_USB_RESETS = "usb_resets"
COUNT_ABSENCES = "absences"
COUNT_PROBES = "probes"
COUNT_FALLBACKS = "fallbacks"
COUNTS = (
    COUNT_RESTARTS,
    COUNT_SILENCES,
    COUNT_POWER_CYCLES,
    COUNT_USB_RESETS,
    COUNT_ABSENCES,
    COUNT_PROBES,
    COUNT_FALLBACKS,
)

PAUSE_FIRST_S = 1.0
PAUSE_LONGEST_S = 8.0  # an adapter that is plugged in again is used within 10 s
SILENCE_LONGEST_S = 1800.0  # where nobody is on the air, resets would go on for ever
QUIET_LONGEST_S = 900.0  # between two looks whether a passive scan is deaf
PROBE_S = 12.0  # a tag's burst comes again every few seconds
TRIAL_S = 30.0
FALLBACK_S = 3600.0
ABSENT_POLL_S = 8.0  # D-Bus tells at once; this is for what it does not tell
STABLE_S = 30.0  # a scan that lasted so long has recovered: its next failure is the first again

STEP_AT = {2: POWER_CYCLE, 4: USB_RESET, 8: POWER_CYCLE, 16: USB_RESET}
"""Which failure in a row brings more than a restart; after the last of them, each 32nd brings a power cycle. The first
one does where a restart is of no use: to an adapter that is off, and right after an absence, since the kernel goes on
with the scan of a bluetoothd that was killed, and refuses another."""


class Row(NamedTuple):
    """Where an event leads, and the method of Recovery that is called on the way there."""

    state: str
    action: str


_TROUBLE = {
    FAILED: Row(PAUSED, "_fail"),
    OFF: Row(PAUSED, "_switched_off"),
    GONE: Row(ABSENT, "_miss"),
}
"""What may happen to every scan."""

TABLE: dict[str, dict[str, Row]] = {
    ACTIVE: {
        OPENED: Row(ACTIVE, "_opened"),
        OURS: Row(ACTIVE, "_heard"),
        OTHERS: Row(ACTIVE, "_heard"),
        DUE: Row(PAUSED, "_silent"),
        **_TROUBLE,
    },
    PASSIVE: {
        OPENED: Row(PASSIVE, "_opened"),
        OURS: Row(PASSIVE, "_heard"),
        DUE: Row(PROBING, "_probe"),
        REFUSED: Row(FALLBACK, "_fall_back"),
        **_TROUBLE,
    },
    PROBING: {
        OPENED: Row(PROBING, "_opened"),
        OURS: Row(TRIAL, "_no_change"),
        OTHERS: Row(PROBED, "_no_change"),
        DUE: Row(PAUSED, "_silent"),
        **_TROUBLE,
    },
    PROBED: {
        OURS: Row(TRIAL, "_no_change"),
        DUE: Row(PASSIVE, "_alone"),
        **_TROUBLE,
    },
    TRIAL: {
        OPENED: Row(TRIAL, "_opened"),
        OURS: Row(PASSIVE, "_heard"),
        DUE: Row(FALLBACK, "_fall_back"),
        REFUSED: Row(FALLBACK, "_fall_back"),
        **_TROUBLE,
    },
    FALLBACK: {
        OPENED: Row(FALLBACK, "_opened"),
        OURS: Row(FALLBACK, "_heard"),
        OTHERS: Row(FALLBACK, "_heard"),
        DUE: Row(PAUSED, "_silent"),
        RETRY: Row(PASSIVE, "_no_change"),
        **_TROUBLE,
    },
    PAUSED: {
        DUE: Row(STEPPING, "_step"),
        BACK: Row(HOME, "_restart"),
        GONE: Row(ABSENT, "_miss"),
    },
    STEPPING: {
        DONE: Row(HOME, "_restart"),  # a USB reset takes the adapter away for a moment: GONE and BACK mean nothing here
    },
    ABSENT: {
        BACK: Row(HOME, "_restart"),
        DUE: Row(HOME, "_no_change"),
    },
}

_ACTIVITY = {
    ACTIVE: SCAN_ACTIVE,
    PASSIVE: SCAN_PASSIVE,
    PROBING: SCAN_ACTIVE,
    PROBED: SCAN_ACTIVE,
    TRIAL: SCAN_PASSIVE,
    FALLBACK: SCAN_ACTIVE,
    PAUSED: IDLE,
    ABSENT: IDLE,
}


class Recovery:
    """One radio's. The states, events and activities are this module's constants.

    filtered: whether the scan asked for is passive and reports our own tags alone, as BlueZ's passive scan does.
    silence_s: how long everybody may be silent; None for a radio whose silence means nothing. steps: those of
    POWER_CYCLE and USB_RESET that this radio has, and that it may take.
    """

    def __init__(self, now_s: float, filtered: bool, silence_s: float | None, steps: frozenset[str]) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        """Since the start."""
        self._filtered = filtered
        self._silence_s = silence_s
        self._steps = steps
        self._failures = 0  # in a row
        self._alone_in_a_row = 0
        self._step_now = RESTART
        self._open = False  # whether the scan that is going on has begun: until then its silence says nothing
        self._opened_s: float | None = None
        self._missing = False  # and counted as such
        self._off = False
        self._retry_s: float | None = None  # from when on passive scanning is worth another try
        self.state = PASSIVE if filtered else ACTIVE
        self.due_s: float | None = None
        """When `on` wants to be told DUE; None for never."""
        self._rearm(now_s)

    @property
    def activity(self) -> str:
        """What has to be going on now: a scan, a step, or nothing."""
        return self._step_now if self.state == STEPPING else _ACTIVITY[self.state]

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        if self._retry_s is not None and now_s >= self._retry_s and RETRY in TABLE[self.state]:
            self.on(RETRY, now_s)
        if self.due_s is not None and now_s >= self.due_s:
            self.on(DUE, now_s)

    def on(self, event: str, now_s: float) -> None:
        """Something has happened. What a state's table does not have means nothing in it."""
        row = TABLE[self.state].get(event)
        if row is None:
            return
        activity = self.activity
        getattr(self, row.action)(now_s)
        before, self.state = self.state, self._home(now_s) if row.state == HOME else row.state
        if self.activity != activity:
            self._open = False
        if self.state != before or event in (OPENED, OURS, OTHERS):
            self._rearm(now_s)

    def _home(self, now_s: float) -> str:
        if not self._filtered:
            return ACTIVE
        return FALLBACK if self._retry_s is not None and now_s < self._retry_s else PASSIVE

    def _rearm(self, now_s: float) -> None:
        allowed_s = self._allowed_s()
        self.due_s = None if allowed_s is None else now_s + allowed_s

    def _allowed_s(self) -> float | None:
        """How long the state may last without an event."""
        if self.state == PAUSED:
            return min(PAUSE_FIRST_S * (1 << min(self._failures - 1, 9)), PAUSE_LONGEST_S)
        if self.state == ABSENT:
            return ABSENT_POLL_S
        if not self._open:
            return None
        if self.state in (PROBING, PROBED):
            return PROBE_S
        if self.state == TRIAL:
            return TRIAL_S
        if self.state == STEPPING or self._silence_s is None:
            return None
        if self.state == PASSIVE:
            return min(self._silence_s * (1 << min(self._alone_in_a_row, 9)), max(self._silence_s, QUIET_LONGEST_S))
        doublings = min(max(self._failures - 1, 0), 9)
        return min(self._silence_s * (1 << doublings), max(self._silence_s, SILENCE_LONGEST_S))

    # The table's actions.

    def _no_change(self, now_s: float) -> None:
        pass

    def _opened(self, now_s: float) -> None:
        self._open = True
        self._opened_s = now_s
        self._missing = self._off = False

    def _heard(self, now_s: float) -> None:
        self._alone_in_a_row = 0
        if self._opened_s is not None and now_s - self._opened_s >= STABLE_S:
            self._failures = 0

    def _silent(self, now_s: float) -> None:
        self.counts[COUNT_SILENCES] += 1
        self._failures += 1

    def _fail(self, now_s: float) -> None:
        if self._opened_s is not None and now_s - self._opened_s >= STABLE_S:
            self._failures = 0
        self._opened_s = None
        self._failures += 1

    def _switched_off(self, now_s: float) -> None:
        self._fail(now_s)
        self._off = True

    def _miss(self, now_s: float) -> None:
        if self._opened_s is not None and now_s - self._opened_s >= STABLE_S:
            self._failures = 0
        self._opened_s = None
        if not self._missing:
            self._missing = True
            self.counts[COUNT_ABSENCES] += 1

    def _probe(self, now_s: float) -> None:
        self.counts[COUNT_PROBES] += 1

    def _alone(self, now_s: float) -> None:
        self._alone_in_a_row += 1

    def _fall_back(self, now_s: float) -> None:
        self.counts[COUNT_FALLBACKS] += 1
        self._retry_s = now_s + FALLBACK_S

    def _step(self, now_s: float) -> None:
        step = STEP_AT.get(self._failures, RESTART)
        at_once = (self._missing or self._off) and self._failures == 1
        if at_once or (self._failures > max(STEP_AT) and self._failures % 32 == 0):
            step = POWER_CYCLE
        self._step_now = step if step in self._steps else RESTART
        if self._step_now == POWER_CYCLE:
            self.counts[COUNT_POWER_CYCLES] += 1
        elif self._step_now == USB_RESET:
            self.counts[COUNT_USB_RESETS] += 1

    def _restart(self, now_s: float) -> None:
        self._opened_s = None
        self.counts[COUNT_RESTARTS] += 1
