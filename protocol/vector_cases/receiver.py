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
            ("behind its generation's end: inferred, and then not tried", 0x03FF_FFFF, 0, 0x0400_0000),
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
        expires_s: int | None = None,
    ) -> Case:
        entry: Case = {"id": TAG_ID, "generation": generation, **keys(generation)}
        if before is not None:
            entry["previous"] = {"generation": before, **keys(before)}
            if until_s is not None:
                entry["previous"]["expires_s"] = until_s
        if last is not None:
            entry["last_counter"] = last
        if expires_s is not None:
            entry["expires_s"] = expires_s
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
                step("repeat", 5),
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
                step("accepted", 101, unconfirmed=True),
                step("accepted", 105, unconfirmed=False),
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
            "65,536 behind is replayed, further behind is not looked for",
            0,
            0x2_0005,
            [step("replayed", 0x1_0006), step("forged", 6), step("accepted", 0x2_0006)],
        ),
        run(
            "the last counter of a generation: the candidate is none, the counter below it is tried",
            0,
            0xFF_FFFF,
            [step("repeat", 0xFF_FFFF), step("replayed", 0xFF_FFFE), step("forged", 0x0100_0000)],
        ),
        run(
            "the counter below the candidate is of a generation that has ended",
            1,
            0x0100_0005,
            [step("forged", 0xFF_0006), step("accepted", 0x0100_0006)],
            before=0,
        ),
        run(
            "an entry that expires",
            0,
            None,
            [
                step("accepted", 5, now_s=NOW_S + 99),
                step("repeat", 5, now_s=NOW_S + 100),
                step("expired", 6, now_s=NOW_S + 100),
                step("expired", 6, key=OTHER_KEY, now_s=NOW_S + 100),
                step("unknown", 6, tag_id=TAG_ID + 1, now_s=NOW_S + 100),
            ],
            expires_s=NOW_S + 100,
        ),
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
                step("replayed", 4, epoch=epoch + 1, now_s=NOW_S + 2_048),
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
    guess = step("forged", 9, key=OTHER_KEY)
    return {
        "about": "infer: the smallest counter above `last` with these low 16 bits, which a receiver tries first; the "
        "last one lies behind its generation's end and is then not tried. runs: a receiver with this keyring entry "
        "alone hears the steps in order, at `now_s`; `expect` is accepted, repeat, replayed (authentic, not newer), "
        "service (counted, no sample) or the reason for the refusal; an accepted sample has `unconfirmed` and `alarm` "
        "where they are given. budget: likewise, each step heard `times` times; the numbers are those of our budget.",
        "infer": infer,
        "runs": runs,
        "budget": run(
            "what searches ends in `budget`, what fits at once does not, and a second later there is room again",
            0,
            None,
            [
                {**guess, "times": 200},
                {**guess, "times": 3, "expect": "budget"},
                step("accepted", 5, times=1),
                {**guess, "now_s": NOW_S + 1, "times": 1},
            ],
        ),
    }
