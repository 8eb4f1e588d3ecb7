"""The generated parts of SPEC.md's chapters on beacons; make_spec.py puts them in."""

from collections.abc import Callable

from tagwire import alarm, reference, service
from vector_cases.beacons import beacons

ALARMS = {
    "UNSPECIFIED": "none of these",
    "TEMPERATURE_HIGH": "above its limit",
    "TEMPERATURE_LOW": "below its limit",
    "HUMIDITY_HIGH": "above its limit",
    "HUMIDITY_LOW": "below its limit",
    "BATTERY_LOW": "change it",
    "OPENED": "the box, or the tag itself",
    "SHOCK": "dropped, or hit",
    "SENSOR_FAULT": "a sensor that was there does not answer, or answers nonsense",
    "CLEARED": "back in range: what was raised before is over",
}

SERVICES = {
    "UNSPECIFIED": "none of these",
    "NO_KEY": "no provisioning file, or one that must be refused",
    "SETTINGS": "settings that the firmware cannot work with",
    "COUNTER_LOST": "the key is there and no place holds a counter of its generation",
    "COUNTER_EXHAUSTED": "the generation's 24 bits are used up",
    "CRASH_LOOP": "the firmware has failed again and again",
    "BATTERY_LOW": "too little charge to measure or to send",
    "STORAGE": "flash cannot be written (journal, counter), or is full of what nobody has acknowledged",
    "CLOCK_LOST": "private ids need the time, and the tag does not know it",
}

BOARDS = {
    "UNKNOWN": "not told",
    "ESP32_DEVKIT": "`esp32-devkit`",
    "ESP32C3_DEVKIT": "`esp32c3-devkit`",
    "ESP32S3_DEVKIT": "`esp32s3-devkit`",
    "ESP32C6_DEVKIT": "`esp32c6-devkit`",
}


def _rows(module: object, prefix: str, meanings: dict[str, str], head: str) -> str:
    codes = {name: getattr(module, prefix + name) for name in meanings}
    lines = [f"| {codes[name]} | {name.replace('_', ' ').lower()} | {meanings[name]} |" for name in meanings]
    return "\n".join([head, "|---|---|---|", *lines])


def alarm_table() -> str:
    return _rows(alarm, "REASON_", ALARMS, "| reason | | meaning |")


def service_table() -> str:
    return _rows(service, "SERVICE_", SERVICES, "| reason | | meaning |")


def board_table() -> str:
    return _rows(service, "BOARD_", BOARDS, "| board | | name in the provisioning file |")


def private_example() -> str:
    """One sample under two names."""
    cases = [case for case in beacons()["valid"] if case["name"] in ("private id", "the same sample in the next epoch")]
    lines = [
        f"K_id            {cases[0]['id_key']}        generation 0 of the example's tag",
        f"counter         {cases[0]['counter']} = 0x{cases[0]['counter']:08x}",
    ]
    for case in cases:
        block = reference.EpochBlock.build({"epoch": case["epoch"]})
        private_id, mask = reference.private_name(bytes.fromhex(case["id_key"]), case["epoch"])
        lines += [
            "",
            f"epoch           {case['epoch']} = 0x{case['epoch']:06x}",
            f"block           {block.hex()}",
            f"AES(K_id, ..)   {private_id.to_bytes(4, 'little').hex()} {mask.to_bytes(2, 'little').hex()} ...",
            f"nonce           {case['nonce']}",
            f"beacon          {case['beacon']}",
        ]
    return "```\n" + "\n".join(lines) + "\n```"


PARTS: dict[str, Callable[[], str]] = {
    "alarm": alarm_table,
    "service": service_table,
    "boards": board_table,
    "private_example": private_example,
}
