"""Receivers: the counter's high part, and what a run of beacons comes to."""

from collections.abc import Callable
from typing import Any

from tagwire import reference
from vector_cases.subject import BERLIN, NOW_S, OTHER_KEY, ROOT_KEY, TAG_ID, Case


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
        expect: str,
        counter: int,
        key: bytes = ROOT_KEY,
        hints: int = 0,
        tag_id: int = TAG_ID,
        reason: int | None = None,
        epoch: int | None = None,
        now_s: int = NOW_S,
        spoilt: Callable[[bytes], bytes] = lambda frame: frame,
        **more: Any,
    ) -> Case:
        reading = {**BERLIN, "temperature": 4_000 + 100 * (counter & 0x1F)}
        codes = reference.codes_of(reading) if reason is None else reference.alarm_codes_of(reading, reason)
        generation = counter >> 24
        frame = reference.seal(
            reference.beacon_key(key, generation),
            tag_id,
            counter,
            reference.build_body(codes),
            bool(hints & 0x10),
            bool(hints & 0x40),
            "sample" if reason is None else "alarm",
            None if epoch is None else reference.id_key(key, generation),
            epoch or 0,
        )
        return {"beacon": spoilt(frame).hex(), "counter": counter, "now_s": now_s, "expect": expect, **more}

    def run(
        name: str,
        generation: int,
        last: int | None,
        steps: list[Case],
        before: int | None = None,
        until_s: int | None = None,
    ) -> Case:
        entry: Case = {"id": TAG_ID, "generation": generation, **keys(generation)}
        if before is not None:
            entry["previous"] = {"generation": before, **keys(before)}
            if until_s is not None:
                entry["previous"]["expires_s"] = until_s
        if last is not None:
            entry["last_counter"] = last
        return {"name": name, "keyring": entry, "steps": steps}

    def keys(generation: int) -> Case:
        return {
            "beacon_key": reference.beacon_key(ROOT_KEY, generation).hex(),
            "id_key": reference.id_key(ROOT_KEY, generation).hex(),
        }

    epoch = NOW_S // 1024
    service = reference.service(3, [1, 0, 0], 1, 3_000, 60, TAG_ID, 9)
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
            before=0,
        ),
        run(
            "a raised generation: the old one is taken until its time is over",
            1,
            50,
            [
                step("accepted", 51),
                step("accepted", 52, now_s=NOW_S + 99),
                step("forged", 53, now_s=NOW_S + 100),
                step("accepted", 0x0100_0000, now_s=NOW_S + 100),
            ],
            before=0,
            until_s=NOW_S + 100,
        ),
        run(
            "truncated, of a later version, of a later kind, a service beacon: nothing is taken",
            0,
            None,
            [
                step("length", 8, spoilt=lambda frame: frame[:-1]),
                step("version", 8, spoilt=lambda frame: bytes([frame[0] + 1]) + frame[1:]),
                step("kind", 8, spoilt=lambda frame: bytes([frame[0] | 0x0C]) + frame[1:]),
                step("service", 9, spoilt=lambda _: service),
                step("forged", 8, spoilt=lambda frame: bytes([frame[0] | 0x80]) + frame[1:]),
                step("accepted", 8),
            ],
        ),
        run(
            "reordered",
            0,
            None,
            [step("accepted", 3), step("accepted", 5), step("replayed", 4), step("repeat", 5), step("accepted", 6)],
        ),
        run(
            "an alarm is a sample",
            0,
            None,
            [
                step("accepted", 3),
                step("accepted", 4, reason=1, alarm=True),
                step("repeat", 4, reason=1, hints=0x40),
                step("forged", 5, spoilt=lambda frame: bytes([frame[0] ^ 0x04]) + frame[1:]),
                step("accepted", 5, alarm=False),
            ],
        ),
        run(
            "private ids: names change, the tag stays",
            0,
            None,
            [
                step("accepted", 3, epoch=epoch),
                step("accepted", 4, epoch=epoch),
                step("replayed", 3, epoch=epoch),
                step("accepted", 5, epoch=epoch + 1, now_s=NOW_S + 1_024),
                step("repeat", 5, epoch=epoch + 2, now_s=NOW_S + 2_048),
                step("accepted", 6, now_s=NOW_S + 2_048),
                step("replayed", 4, epoch=epoch, now_s=NOW_S + 2_048),
            ],
        ),
        run(
            "private ids: clocks that differ by an epoch, and an id that nobody bears",
            0,
            None,
            [
                step("accepted", 3, epoch=epoch - 1),
                step("accepted", 4, epoch=epoch + 1),
                step("unknown", 5, epoch=epoch, key=OTHER_KEY),
                step("unknown", 5, epoch=epoch - 20_000),
                step("forged", 5, epoch=epoch, spoilt=lambda frame: frame[:-1] + bytes([frame[-1] ^ 1])),
                step("accepted", 5, epoch=epoch),
            ],
        ),
        run(
            "private ids of a raised generation",
            1,
            None,
            [
                step("accepted", 7, epoch=epoch),
                step("accepted", 0x0100_0000, epoch=epoch),
                step("forged", 8, epoch=epoch),
                step("accepted", 0x0100_0001, epoch=epoch),
            ],
            before=0,
        ),
        run("a generation that the keyring does not hold", 1, None, [step("forged", 0x0200_0000), step("forged", 3)]),
    ]
    return {
        "about": "infer: the counter that a receiver tries first. runs: one with this keyring entry alone hears the "
        "steps in order, at `now_s`; `expect` is accepted, repeat, replayed (authentic, not newer) or the reason for "
        "the refusal; `unconfirmed` and `alarm` where they are given.",
        "infer": infer,
        "runs": runs,
    }
