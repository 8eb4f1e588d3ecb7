"""The 88-bit sample body: a reading in engineering units to wire codes and back. Portable.

All arithmetic is on integers, because an ESP32's floats are single precision (47.1234567 * 1e7 gives 471234560).
SPEC.md, "Sample body", is the authority for ranges, steps and 'not available' codes.
"""

import struct

from tagwire.errors import REASON_LENGTH, DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Reading(NamedTuple):
        """One sample's values in engineering units; `None` means not available.

        latitude_e7, longitude_e7: 1e-7 degree, WGS 84; both or neither. temperature_mc: milli-degree Celsius.
        humidity_mpct: milli-percent relative humidity. battery_mv: millivolt. fix: a FIX_* class. motion: a MOTION_*
        code. time_s: Unix seconds, None when the tag does not know the time; from `decode_body` it is only
        known modulo 4,096 s, see `resolve_time`. time_quality: a TIME_* code.
        """

        latitude_e7: int | None
        longitude_e7: int | None
        temperature_mc: int | None
        humidity_mpct: int | None
        battery_mv: int | None
        fix: int
        motion: int
        time_s: int | None
        time_quality: int

    class Codes(NamedTuple):
        """The same sample as wire codes, in the order of the body's bits, 'not available' codes included."""

        latitude: int
        longitude: int
        temperature: int
        humidity: int
        battery: int
        fix: int
        motion: int
        time: int
        time_quality: int

else:
    from collections import namedtuple

    Reading = namedtuple(
        "Reading",
        (
            "latitude_e7",
            "longitude_e7",
            "temperature_mc",
            "humidity_mpct",
            "battery_mv",
            "fix",
            "motion",
            "time_s",
            "time_quality",
        ),
    )
    Codes = namedtuple(
        "Codes",
        ("latitude", "longitude", "temperature", "humidity", "battery", "fix", "motion", "time", "time_quality"),
    )

BODY_BYTES = 11
BODY_WORDS = "<IIHB"  # the 88 bits in pieces that no runtime needs a long integer for
BODY_BITS = (23, 24, 11, 8, 5, 3, 2, 10, 2)  # in the order of Codes, from the least significant bit; 88 in all

LATITUDE_NA = 0x7FFFFF
LONGITUDE_NA = 0xFFFFFF
TEMPERATURE_NA = 2047
HUMIDITY_NA = 255
BATTERY_NA = 31

LATITUDE_MAX = LATITUDE_NA - 1  # the code of +90 degrees; 0 is -90, so a step is 180 / 8,388,606 degrees = 2.39 m
LONGITUDE_MAX = LONGITUDE_NA - 1  # the code of +180 degrees; 0 is -180: 2.39 m on the equator, less elsewhere
LATITUDE_SPAN_E7 = 1800000000
LONGITUDE_SPAN_E7 = 3600000000
TEMPERATURE_MIN_MC = -80000
TEMPERATURE_STEP_MC = 100
TEMPERATURE_MAX = 2046
HUMIDITY_STEP_MPCT = 500
HUMIDITY_MAX = 200
BATTERY_MIN_MV = 1800
BATTERY_STEP_MV = 80
BATTERY_MAX = 30

FIX_NONE = 0  # no position, or one older than a day
FIX_5M = 1  # from this sample's own cycle, estimated accuracy (one sigma, horizontal) at most 5 m
FIX_15M = 2  # the same, at most 15 m
FIX_50M = 3  # the same, at most 50 m
FIX_POOR = 4  # the same, worse than 50 m or not known
FIX_10MIN = 5  # an earlier position, at most 10 minutes old
FIX_1H = 6  # at most 1 hour old
FIX_1D = 7  # at most 24 hours old

MOTION_UNKNOWN = 0
MOTION_STILL = 1
MOTION_MOVING = 2

TIME_UNKNOWN = 0
TIME_ESTIMATED = 1
TIME_HUB = 2
TIME_GNSS = 3

TIME_STEP_S = 4
TIME_CODES = 1024
TIME_WINDOW_S = TIME_STEP_S * TIME_CODES  # 4,096 s: a code repeats after 68 minutes


def _clamped(code: int, largest: int) -> int:
    return 0 if code < 0 else largest if code > largest else code


def to_codes(reading: "Reading") -> "Codes":
    """Quantise a reading to the nearest codes. Values beyond a field's range saturate at its end.

    Raises EncodeError where fix, motion or time quality is no code of the wire, or half a position is given.
    """
    (latitude_e7, longitude_e7, temperature_mc, humidity_mpct, battery_mv, fix, motion, time_s, quality) = reading
    if not 0 <= fix <= 7 or not 0 <= motion <= 3 or not 0 <= quality <= 3:
        raise EncodeError("fix %r, motion %r or time quality %r out of range" % (fix, motion, quality))
    if (latitude_e7 is None) != (longitude_e7 is None):
        raise EncodeError("a position needs latitude and longitude")
    if latitude_e7 is None or longitude_e7 is None or fix == FIX_NONE:
        latitude, longitude, fix = LATITUDE_NA, LONGITUDE_NA, FIX_NONE
    else:
        half = LATITUDE_SPAN_E7 // 2
        latitude = _clamped(((latitude_e7 + half) * LATITUDE_MAX + half) // LATITUDE_SPAN_E7, LATITUDE_MAX)
        half = LONGITUDE_SPAN_E7 // 2
        longitude = _clamped(((longitude_e7 + half) * LONGITUDE_MAX + half) // LONGITUDE_SPAN_E7, LONGITUDE_MAX)
    if temperature_mc is None:
        temperature = TEMPERATURE_NA
    else:
        temperature = _clamped((temperature_mc - TEMPERATURE_MIN_MC + 50) // TEMPERATURE_STEP_MC, TEMPERATURE_MAX)
    if humidity_mpct is None:
        humidity = HUMIDITY_NA
    else:
        humidity = _clamped((humidity_mpct + 250) // HUMIDITY_STEP_MPCT, HUMIDITY_MAX)
    if battery_mv is None:
        battery = BATTERY_NA
    else:
        battery = _clamped((battery_mv - BATTERY_MIN_MV + 40) // BATTERY_STEP_MV, BATTERY_MAX)
    if time_s is None or quality == TIME_UNKNOWN:
        time, quality = 0, TIME_UNKNOWN
    else:
        time = (time_s + TIME_STEP_S // 2) // TIME_STEP_S % TIME_CODES
    return Codes(latitude, longitude, temperature, humidity, battery, fix, motion, time, quality)


def from_codes(codes: "Codes") -> "Reading":
    """The reading that codes stand for; reserved codes (humidity 201 to 254, motion 3) read as not available.

    `time_s` is the code times 4 s: the time modulo 4,096 s.
    """
    (latitude, longitude, temperature, humidity, battery, fix, motion, time, quality) = codes
    if fix == FIX_NONE or latitude > LATITUDE_MAX or longitude > LONGITUDE_MAX:
        latitude_e7 = longitude_e7 = None
        fix = FIX_NONE
    else:
        latitude_e7 = (latitude * LATITUDE_SPAN_E7 + LATITUDE_MAX // 2) // LATITUDE_MAX - LATITUDE_SPAN_E7 // 2
        longitude_e7 = (longitude * LONGITUDE_SPAN_E7 + LONGITUDE_MAX // 2) // LONGITUDE_MAX - LONGITUDE_SPAN_E7 // 2
    return Reading(
        latitude_e7,
        longitude_e7,
        None if temperature > TEMPERATURE_MAX else temperature * TEMPERATURE_STEP_MC + TEMPERATURE_MIN_MC,
        None if humidity > HUMIDITY_MAX else humidity * HUMIDITY_STEP_MPCT,
        None if battery > BATTERY_MAX else battery * BATTERY_STEP_MV + BATTERY_MIN_MV,
        fix,
        MOTION_UNKNOWN if motion > MOTION_MOVING else motion,
        None if quality == TIME_UNKNOWN else time * TIME_STEP_S,
        quality,
    )


def pack_body(codes: "Codes") -> bytes:
    """Nine codes to the 11 bytes of the body, little-endian. Codes must be in range; `to_codes` makes them so."""
    (latitude, longitude, temperature, humidity, battery, fix, motion, time, quality) = codes
    return struct.pack(
        BODY_WORDS,
        latitude | (longitude & 0x1FF) << 23,
        longitude >> 9 | temperature << 15 | (humidity & 0x3F) << 26,
        humidity >> 6 | battery << 2 | fix << 7 | motion << 10 | (time & 0xF) << 12,
        time >> 4 | quality << 6,
    )


def unpack_body(body: bytes) -> "Codes":
    """The 11 bytes of a body to its nine codes. Raises DecodeError("length") for another length."""
    if len(body) != BODY_BYTES:
        raise DecodeError(REASON_LENGTH, "a sample body has 11 bytes, not %d" % len(body))
    (a, b, c, d) = struct.unpack(BODY_WORDS, body)
    return Codes(
        a & 0x7FFFFF,
        a >> 23 | (b & 0x7FFF) << 9,
        b >> 15 & 0x7FF,
        b >> 26 | (c & 3) << 6,
        c >> 2 & 0x1F,
        c >> 7 & 7,
        c >> 10 & 3,
        c >> 12 | (d & 0x3F) << 4,
        d >> 6,
    )


def encode_body(reading: "Reading") -> bytes:
    """A reading to its 11-byte body."""
    return pack_body(to_codes(reading))


def decode_body(body: bytes) -> "Reading":
    """An 11-byte body to its reading; `time_s` modulo 4,096 s. Raises DecodeError."""
    return from_codes(unpack_body(body))


def resolve_time(time_mod_s: int, now_s: int) -> int:
    """The Unix time nearest to `now_s` that is `time_mod_s` modulo 4,096 s: right while the sample's age and the two
    clocks' difference stay within 2,048 s (34 minutes) together."""
    half = TIME_WINDOW_S // 2
    return now_s - half + (time_mod_s - now_s + half) % TIME_WINDOW_S
