"""Alarms: a sample whose position makes room for the reason it was sent for. Portable.

A reason has 4 bits. Bits 0-1 take the two low bits of the latitude code, bits 2-3 those of the longitude code: what is
left of the position is a cell of 9.5 m. Beacon, journal and history hold these very codes.
"""

from tagwire.errors import EncodeError
from tagwire.fields import (
    FIX_NONE,
    LATITUDE_MAX,
    LATITUDE_NA,
    LATITUDE_SPAN_E7,
    LONGITUDE_MAX,
    LONGITUDE_NA,
    LONGITUDE_SPAN_E7,
    Codes,
    Reading,
    from_codes,
    to_codes,
)

REASON_UNSPECIFIED = 0
REASON_TEMPERATURE_HIGH = 1
REASON_TEMPERATURE_LOW = 2
REASON_HUMIDITY_HIGH = 3
REASON_HUMIDITY_LOW = 4
REASON_BATTERY_LOW = 5
REASON_OPENED = 6
REASON_SHOCK = 7
REASON_SENSOR_FAULT = 8
REASON_CLEARED = 9  # back in range; 10 to 15 are reserved: keep and show the number
REASON_MAX = 15

LATITUDE_CELL_NA = LATITUDE_NA >> 2
LONGITUDE_CELL_NA = LONGITUDE_NA >> 2


def with_reason(codes: Codes, reason: int) -> Codes:
    """A sample's codes as an alarm's, with a REASON_*. Raises EncodeError for a reason beyond 4 bits.

    The last three codes at the north pole and at 180 degrees east move into the cell before, as theirs is the one that
    means 'not available'.
    """
    if not 0 <= reason <= REASON_MAX:
        raise EncodeError("reason %d" % reason)
    latitude = codes[0] >> 2
    longitude = codes[1] >> 2
    if codes[0] != LATITUDE_NA and latitude == LATITUDE_CELL_NA:
        latitude -= 1
    if codes[1] != LONGITUDE_NA and longitude == LONGITUDE_CELL_NA:
        longitude -= 1
    return Codes(latitude << 2 | reason & 3, longitude << 2 | reason >> 2, *codes[2:])


def reason_of(codes: Codes) -> int:
    """The reason in an alarm's codes, 0 to 15."""
    return codes[0] & 3 | (codes[1] & 3) << 2


def alarm_codes(reading: Reading, reason: int) -> Codes:
    """Quantise a reading for an alarm. Raises EncodeError."""
    return with_reason(to_codes(reading), reason)


def alarm_reading(codes: Codes) -> Reading:
    """The reading that an alarm's codes stand for: its position is the middle of the cell."""
    latitude = codes[0] >> 2
    longitude = codes[1] >> 2
    reading = from_codes(Codes(LATITUDE_NA, LONGITUDE_NA, *codes[2:]))  # all but the position
    if latitude == LATITUDE_CELL_NA or longitude == LONGITUDE_CELL_NA or codes.fix == FIX_NONE:
        return reading
    # The middle of the codes 4c to 4c + 3 is 4c + 3/2: floor((4c + 3/2) x step + 1/2), in halves of a code.
    latitude_e7 = ((8 * latitude + 3) * LATITUDE_SPAN_E7 + LATITUDE_MAX) // (2 * LATITUDE_MAX)
    longitude_e7 = ((8 * longitude + 3) * LONGITUDE_SPAN_E7 + LONGITUDE_MAX) // (2 * LONGITUDE_MAX)
    return Reading(
        latitude_e7 - LATITUDE_SPAN_E7 // 2,
        longitude_e7 - LONGITUDE_SPAN_E7 // 2,
        reading.temperature_mc,
        reading.humidity_mpct,
        reading.battery_mv,
        codes.fix,
        reading.motion,
        reading.time_s,
        reading.time_quality,
    )
