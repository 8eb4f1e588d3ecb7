"""One wake as a state machine. Pure: `app` does what a phase says and tells its outcome.

Two rules: every wake begins in WAKE and ends in ASLEEP; a pair that is not in the table is a defect, and a KeyError.
"""

WAKE = 0  # why are we awake; after power-on, a person may stop the tag
RESTORE = 1  # identity, settings and state: from RTC memory, or from flash
GNSS_START = 2  # its supply on, if a fix is due: it searches while the rest is measured
SAMPLE = 3  # read the sensors, wait for the fix
DECIDE = 4  # one reading; is it an alarm; a counter for it
JOURNAL = 5  # keep it
ADVERTISE = 6  # a burst of the sample's beacon
WINDOW = 7  # a hub may connect
SERVICE = 8  # no samples can be made: say why
ASLEEP = 9  # deep sleep until the next one

DONE = 0
REPEAT = 1  # the last sample's next burst is due
SILENT = 2  # the radio stays off
OPEN = 3  # a connectable window is due
BROKEN = 4  # a person is needed

TABLE = {
    (WAKE, DONE): RESTORE,
    (WAKE, BROKEN): SERVICE,
    (RESTORE, DONE): GNSS_START,
    (RESTORE, REPEAT): ADVERTISE,
    (RESTORE, BROKEN): SERVICE,
    (GNSS_START, DONE): SAMPLE,
    (SAMPLE, DONE): DECIDE,
    (SAMPLE, BROKEN): SERVICE,
    (DECIDE, DONE): JOURNAL,
    (DECIDE, BROKEN): SERVICE,
    (JOURNAL, DONE): ADVERTISE,
    (JOURNAL, SILENT): ASLEEP,
    (ADVERTISE, DONE): ASLEEP,
    (ADVERTISE, OPEN): WINDOW,
    (WINDOW, DONE): ASLEEP,
    (SERVICE, DONE): ASLEEP,
}
