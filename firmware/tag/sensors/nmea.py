"""NMEA 0183 bytes to fixes. Pure: no UART, no clock, and no float, because an ESP32's floats are single precision.

Reads RMC (validity, date, speed), GGA (position, HDOP) and GST (standard deviations, where the receiver sends it);
GSV tells whether there is any signal at all; any other sentence is skipped. An epoch becomes a `Fix` when its RMC and
GGA agree on the time.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Fix(NamedTuple):
        """One valid epoch of the receiver. Angles in 1e-7 degree (WGS 84), time in Unix seconds (UTC).

        accuracy_cm: one sigma, horizontal; None when the receiver gave neither GST nor HDOP.
        speed_mmps: over ground, mm/s; None when not given.
        """

        time_s: int
        latitude_e7: int
        longitude_e7: int
        accuracy_cm: int | None
        speed_mmps: int | None

else:
    from collections import namedtuple

    Fix = namedtuple("Fix", ("time_s", "latitude_e7", "longitude_e7", "accuracy_cm", "speed_mmps"))

LINE_BYTES_MAX = 120  # the standard says 82 with $ and CR LF; some receivers write a little more
TALKERS = (b"GN", b"GP", b"GL", b"GA", b"GB", b"BD", b"GQ", b"QZ", b"GI")

# GGA quality: 1 autonomous, 2 differential, 3 PPS, 4 and 5 RTK. Not taken: 6 dead reckoning, 7 manual, 8 simulator.
QUALITIES = (b"1", b"2", b"3", b"4", b"5")
# RMC mode: Autonomous, Differential, Float, RTK, Precise; before NMEA 2.3 the field does not exist.
MODES = (b"", b"A", b"D", b"F", b"R", b"P")

# Horizontal error of one sigma per unit of HDOP. 3 m: an open-sky HDOP of 0.8 to 1.0 then gives the 2.5 to 3 m that
# makers of single-band receivers state.
UERE_CM = 300

# GPS counts weeks modulo 1,024, and a receiver older than its last rollover reports dates 19.6 years too early. No fix
# can be older than this file, so an earlier date is moved forward by whole rollovers.
NOT_BEFORE_S = 1767225600  # 2026-01-01T00:00:00Z
ROLLOVER_S = 1024 * 7 * 86400

_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def fixed_point(text: bytes, decimals: int) -> "int | None":
    """Decimal digits with an optional point, times 10**decimals; digits beyond are cut. None for anything else."""
    whole, _, fraction = text.partition(b".")
    digits = whole + fraction
    if not digits.isdigit() or len(whole) > 9 or len(fraction) > 12:
        return None
    if len(fraction) < decimals:
        digits += b"0" * (decimals - len(fraction))
    else:
        digits = digits[: len(whole) + decimals]
    return int(digits)


def angle_e7(text: bytes, hemisphere: bytes, positive: bytes, negative: bytes, limit_deg: int) -> "int | None":
    """NMEA's [d]ddmm.mmmm and its hemisphere letter to 1e-7 degree; None when it is not an angle up to the limit."""
    if hemisphere != positive and hemisphere != negative:
        return None
    value = fixed_point(text, 7)
    if value is None or text.find(b".") not in (4, 5):
        return None
    degrees, minutes_e7 = divmod(value, 1000000000)  # the minutes: two digits and seven decimals
    if minutes_e7 >= 600000000:
        return None
    angle = degrees * 10000000 + (minutes_e7 + 30) // 60
    if angle > limit_deg * 10000000:
        return None
    return -angle if hemisphere == negative else angle


def unix_time_s(date: bytes, time: bytes) -> "int | None":
    """NMEA's ddmmyy and hhmmss[.sss] to Unix seconds, week rollovers undone; None when they are no date and time."""
    if len(date) != 6 or not date.isdigit() or len(time) < 6 or not time[:6].isdigit():
        return None
    day, month, year = int(date[:2]), int(date[2:4]), int(date[4:])
    hour, minute, second = int(time[:2]), int(time[2:4]), int(time[4:6])
    if not 1 <= month <= 12 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    year += 1900 if year >= 80 else 2000
    days = (year - 1970) * 365 + (year - 1969) // 4 + _DAYS_BEFORE_MONTH[month - 1] + day - 1
    if month > 2 and year % 4 == 0:  # right from 1901 to 2099
        days += 1
    time_s = days * 86400 + hour * 3600 + minute * 60 + second
    while time_s < NOT_BEFORE_S:
        time_s += ROLLOVER_S
    return time_s


def checksum_fits(line: bytes) -> bool:
    """Whether a sentence `$...*hh` (no line end) carries the checksum of its text."""
    if len(line) < 4 or line[-3] != 0x2A:
        return False
    total = 0
    for byte in line[1:-3]:
        total ^= byte
    return line[-2:].upper() == b"%02X" % total


class NmeaReader:
    """Feed it what the UART gave, in any split; it never raises on bytes.

    sentences, rejected, overlong: how many lines had a right checksum, a wrong or missing one, or did not fit. is_dark:
    it told of its satellites, and has had a signal from none.
    """

    def __init__(self) -> None:
        self.sentences = 0
        self.rejected = 0
        self.overlong = 0
        self.is_dark = False
        self._has_signal = False
        self._line = bytearray()
        self._within = False  # between $ and the end of the line
        self._time = b""  # of the epoch that is being put together
        self._rmc: "tuple[int, int | None] | None" = None  # time_s, speed_mmps
        self._gga: "tuple[int, int, int | None] | None" = None  # latitude_e7, longitude_e7, accuracy_cm
        self._gst: "tuple[int | None] | None" = None  # accuracy_cm
        self._sends_gst = False  # then an epoch waits for it

    def feed(self, data: bytes) -> "list[Fix]":
        """The fixes that these bytes completed, oldest first; mostly none."""
        fixes = []
        for byte in data:
            if byte == 0x24:  # $
                if self._within:
                    self.rejected += 1
                self._line = bytearray(b"$")
                self._within = True
            elif not self._within:
                continue
            elif byte == 0x0D or byte == 0x0A:
                self._within = False
                fix = self._sentence(bytes(self._line))
                if fix:
                    fixes.append(fix)
            elif len(self._line) >= LINE_BYTES_MAX:
                self._within = False
                self.overlong += 1
            else:
                self._line.append(byte)
        return fixes

    def _sentence(self, line: bytes) -> "Fix | None":
        if not checksum_fits(line):
            self.rejected += 1
            return None
        self.sentences += 1
        fields = line[1:-3].split(b",")
        address = fields[0]
        if len(address) != 5 or address[:2] not in TALKERS:
            return None
        kind = address[2:]
        if kind == b"RMC" and len(fields) >= 10:
            self._start_epoch(fields[1])
            self._rmc = _parse_rmc(fields)
        elif kind == b"GGA" and len(fields) >= 9:
            self._start_epoch(fields[1])
            self._gga = _parse_gga(fields)
        elif kind == b"GST" and len(fields) >= 8:
            self._start_epoch(fields[1])
            self._gst = (_parse_gst(fields),)
            self._sends_gst = True
        elif kind == b"GSV":
            # Number, elevation, azimuth and strength of up to four; a strength is empty, or 0, of what is not received.
            self._has_signal |= any([field.strip(b"0") for field in fields[7::4]])
            self.is_dark = not self._has_signal
            return None
        else:
            return None
        return self._complete()

    def _start_epoch(self, time: bytes) -> None:
        time = time.partition(b".")[0]  # RMC and GGA of one epoch may differ in how many decimals they write
        if time != self._time:
            self._time = time
            self._rmc = self._gga = self._gst = None

    def _complete(self) -> "Fix | None":
        if self._rmc is None or self._gga is None or (self._sends_gst and self._gst is None):
            return None
        time_s, speed_mmps = self._rmc
        latitude_e7, longitude_e7, accuracy_cm = self._gga
        if self._gst is not None and self._gst[0] is not None:
            accuracy_cm = self._gst[0]
        self._rmc = self._gga = self._gst = None
        return Fix(time_s, latitude_e7, longitude_e7, accuracy_cm, speed_mmps)


def _parse_rmc(fields: "list[bytes]") -> "tuple[int, int | None] | None":
    """time, status, lat, N, lon, E, knots, course, date, ... [mode]"""
    mode = fields[12] if len(fields) > 12 else b""
    if fields[2] != b"A" or mode not in MODES:
        return None
    time_s = unix_time_s(fields[9], fields[1])
    if time_s is None:
        return None
    speed_mknots = fixed_point(fields[7], 3)
    return time_s, None if speed_mknots is None else (speed_mknots * 1852 + 1800) // 3600  # 1 knot = 1,852 m/h


def _parse_gga(fields: "list[bytes]") -> "tuple[int, int, int | None] | None":
    """time, lat, N, lon, E, quality, satellites, HDOP, ..."""
    if fields[6] not in QUALITIES:
        return None
    latitude_e7 = angle_e7(fields[2], fields[3], b"N", b"S", 90)
    longitude_e7 = angle_e7(fields[4], fields[5], b"E", b"W", 180)
    if latitude_e7 is None or longitude_e7 is None:
        return None
    hdop_e2 = fixed_point(fields[8], 2)
    return latitude_e7, longitude_e7, hdop_e2 * UERE_CM // 100 if hdop_e2 else None  # some write 0 for 'not known'


def _parse_gst(fields: "list[bytes]") -> "int | None":
    """time, rms, major, minor, orientation, sigma latitude, sigma longitude, sigma altitude (metres)"""
    north_cm = fixed_point(fields[6], 2)
    east_cm = fixed_point(fields[7], 2)
    if north_cm is None or east_cm is None:
        return None
    # Hypotenuse by integers: max + min * 3 / 8 is within 7 % above it, enough to choose one of four classes.
    return max(north_cm, east_cm) + min(north_cm, east_cm) * 3 // 8
