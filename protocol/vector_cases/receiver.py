"""Receivers: the counter's high part, and what a run of beacons comes to."""

from typing import Any

from tagwire import reference
from vector_cases.subject import BERLIN, OTHER_KEY, ROOT_KEY, TAG_ID, Case


def receiver() -> Case:
    """The counter's high part, and what a receiver makes of a run of beacons."""
    infer = [
        {"name": name, "last": last, "low": low, "counter": counter}
        for name, last, low, counter in (
            ("the next one", 41, 42, 42),
            ("one just missed", 41, 43, 43),
            ("65,535 missed", 41, 40, 0x10028),
            ("the same low half means 65,536 later", 42, 42, 0x1002A),
            ("the low half wraps", 0x1FFFF, 0, 0x20000),
            ("in generation 3", 0x0300_0005, 6, 0x0300_0006),
            ("leaves its generation: not to be tried", 0x03FF_FFFF, 0, 0x0400_0000),
        )
    ]

    def step(
        expect: str, counter: int, key: bytes = ROOT_KEY, hints: int = 0, tag_id: int = TAG_ID, **more: Any
    ) -> Case:
        reading = {**BERLIN, "temperature": 4_000 + 100 * (counter & 0x1F)}
        body = reference.build_body(reference.codes_of(reading))
        generation_key = reference.beacon_key(key, counter >> 24)
        frame = reference.seal(generation_key, tag_id, counter, body, bool(hints & 0x10), bool(hints & 0x40))
        return {"beacon": frame.hex(), "counter": counter, "expect": expect, **more}

    def run(name: str, generation: int, last: int | None, steps: list[Case], previous: int | None = None) -> Case:
        entry = {"id": TAG_ID, "generation": generation, "beacon_key": reference.beacon_key(ROOT_KEY, generation).hex()}
        if previous is not None:
            key = reference.beacon_key(ROOT_KEY, previous).hex()
            entry["previous"] = {"generation": previous, "beacon_key": key}
        if last is not None:
            entry["last_counter"] = last
        return {"name": name, "keyring": entry, "steps": steps}

    runs = [
        run(
            "first contact, then forward",
            0,
            None,
            [
                step("accepted", 5, unconfirmed=True),
                step("repeat", 5, unconfirmed=True),
                step("accepted", 6, unconfirmed=False),
                step("repeat", 6),
                step("repeat", 6, hints=0x10),
                step("accepted", 9, unconfirmed=False),
            ],
        ),
        run(
            "an older beacon is never taken",
            0,
            100,
            [
                step("repeat", 100),
                step("accepted", 101),
                step("accepted", 105),
                step("replayed", 103),
                step("accepted", 106),
            ],
        ),
        run(
            "over a wrap of the low half",
            0,
            0xFFFE,
            [step("accepted", 0xFFFF), step("accepted", 0x10000), step("replayed", 0xFFFF)],
        ),
        run("a high half that is far away is found", 0, None, [step("accepted", 0x420007), step("accepted", 0x420008)]),
        run("65,536 samples missed", 0, 10, [step("accepted", 0x1000A)]),
        run(
            "forgeries change nothing",
            0,
            None,
            [
                step("accepted", 7),
                step("forged", 8, key=OTHER_KEY),
                step("unknown", 8, tag_id=TAG_ID + 1),
                step("accepted", 8),
            ],
        ),
        run(
            "a raised generation: the old one is taken until the new one was heard",
            1,
            50,
            [step("accepted", 51), step("accepted", 0x0100_0000), step("forged", 52), step("accepted", 0x0100_0001)],
            previous=0,
        ),
        run("a generation that the keyring does not hold", 1, None, [step("forged", 0x0200_0000), step("forged", 3)]),
    ]
    return {
        "about": "infer: the counter that a receiver tries first. runs: one with this keyring entry alone hears the "
        "steps in order; `expect` is accepted, repeat, replayed (authentic, not newer), forged or unknown; "
        "`unconfirmed` where it is given.",
        "infer": infer,
        "runs": runs,
    }
