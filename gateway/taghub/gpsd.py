"""What gpsd says, line by line. Pure. Source: gpsd_json(5), the TPV report."""

import json
from typing import NamedTuple

WATCH = b'?WATCH={"enable":true,"json":true}\r\n'
LINE_BYTES_MAX = 16 * 1024  # gpsd_json(5): a response has at most 10,240 characters (SKY is the longest)


class Position(NamedTuple):
    """Where the hub is, 1e-7 degree, WGS 84."""

    latitude_e7: int
    longitude_e7: int


def decode_report(line: bytes) -> Position | None:
    """The position in one line of gpsd's; None for every other report, for one without a fix, and for garbage."""
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or report.get("class") != "TPV" or report.get("mode") not in (2, 3):
        return None
    latitude, longitude = report.get("lat"), report.get("lon")
    if not isinstance(latitude, (int, float)) or not isinstance(longitude, (int, float)):
        return None
    if not -90 <= latitude <= 90 or not -180 <= longitude <= 180:  # refuses NaN too
        return None
    return Position(round(latitude * 10_000_000), round(longitude * 10_000_000))
