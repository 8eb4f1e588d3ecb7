"""The tag and the readings that the vectors are about."""

from typing import Any

Case = dict[str, Any]
Reading = dict[str, int | None]

ROOT_KEY = bytes(range(0x10, 0x20))
OTHER_KEY = bytes(range(0x20, 0x30))
TAG_ID = 0x00C0FFEE
COMPANY_ID = 0xFFFF
NOW_S = 1_790_000_123

BERLIN: Reading = {
    "latitude": 525_200_066,
    "longitude": 134_049_540,
    "temperature": 4_270,
    "humidity": 61_300,
    "battery": 3_712,
    "fix": 1,
    "motion": 2,
    "time": NOW_S,
    "time_quality": 3,
}
NOTHING: Reading = {
    **dict.fromkeys(("latitude", "longitude", "temperature", "humidity", "battery", "time")),
    **dict.fromkeys(("fix", "motion", "time_quality"), 0),
}
MINIMUM: Reading = {
    "latitude": -900_000_000,
    "longitude": -1_800_000_000,
    "temperature": -80_000,
    "humidity": 0,
    "battery": 1_800,
    "fix": 1,
    "motion": 1,
    "time": 0,
    "time_quality": 1,
}
MAXIMUM: Reading = {
    "latitude": 900_000_000,
    "longitude": 1_800_000_000,
    "temperature": 124_600,
    "humidity": 100_000,
    "battery": 4_200,
    "fix": 7,
    "motion": 2,
    "time": 4_294_967_292,
    "time_quality": 3,
}
