"""Losses injected at every stage, in any order of the news: each sample ends in the class where it was lost."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfleet.ledger import CLASSES, Ledger
from tagfleet.ledger.story import tell
from tagwire import trace
from tagwire.bulk import ReadingColumns

START_US = 1_774_000_000_000_000
TAGS = 4

# What may happen to a sample: what the ledger is told of each fate, and the class that it ends in.
FATES: dict[str, tuple[list[str], str]] = {
    "battery": (["made dead"], "battery"),
    "radio": (["made"], "radio"),
    "hub off": (["made", "reported off"], "hub_off"),
    "off, then another": (["made", "reported off", "reported 1"], "refused"),
    "refused": (["made", "reported 0"], "refused"),
    "died uncommitted": (["made", "reported 0", "heard"], "uncommitted"),
    "vanished": (["made", "reported 0", "heard", "accepted"], "vanished"),
    "waiting": (["made", "reported 0", "heard", "accepted", "waiting"], "waiting"),
    "broker lost it": (["made", "reported 0", "heard", "accepted", "acknowledged"], "broker"),
    "delivered": (["made", "reported 0", "heard", "accepted", "acknowledged", "arrived 0"], "delivered"),
    "not yet acknowledged": (["made", "reported 0", "heard", "accepted", "arrived 0"], "delivered"),
    "two hubs": (["made", "reported 0", "reported 1", "accepted", "arrived 0", "arrived 1"], "delivered"),
    "with the history": (["made", "backlog 0"], "recovered"),
    "untraced": (["made", "reported untraced"], "lost"),
    "wrong": (["made", "reported 0", "accepted", "wrong 0"], "wrong"),
    "clone": (["made", "cloned", "reported 0", "accepted", "clone 0"], "cloned"),
    "bad clock": (["made", "reported 0", "accepted", "late 0"], "mistimed"),
}


def readings(temperature_mc: int, time_s: int = START_US // 1_000_000) -> ReadingColumns:
    row = [525_200_123, 134_100_456, temperature_mc, 61_234, 3_777, 1, 2, time_s, 3]
    return ReadingColumns(*np.array([row], np.int64).T)


def wire(temperature_mc: int, time_s: int = START_US // 1_000_000) -> ReadingColumns:
    """What arrives: within half a step of everything."""
    return readings(temperature_mc + 40, time_s)


def tell_ledger(ledger: Ledger, tag: int, counter: int, event: str, now_us: int, sequence: int) -> None:
    one = np.array([tag]), np.array([counter])
    value = 1_000 * tag + 100 * counter
    match event.split():
        case ["made", *dead]:
            ledger.made(*one, readings(value), np.array([START_US + counter]), not dead)
        case ["reported", "off"]:
            ledger.reported(*one, 0, now_us, off=True)
        case ["reported", "untraced"]:
            ledger.reported(*one, 0, now_us, traced=False)
        case ["reported", hub]:
            ledger.reported(*one, int(hub), now_us)
        case ["waiting"]:
            ledger.waiting(*one)
        case ["cloned"]:
            ledger.cloned(*one, readings(value + 7_000))
        case ["arrived" | "backlog" as way, hub]:
            ledger.arrived(*one, wire(value), now_us, int(hub), sequence, backlog=way == "backlog")
        case ["wrong", hub]:
            ledger.arrived(*one, wire(value + 500), now_us, int(hub), sequence)
        case ["clone", hub]:
            ledger.arrived(*one, wire(value + 7_000), now_us, int(hub), sequence)
        case ["late", hub]:
            late = wire(value, START_US // 1_000_000 - 7_200)
            ledger.arrived(*one, late, now_us, int(hub), sequence, certain_clock=False)
        case [word]:
            number = {"heard": trace.HEARD, "accepted": trace.ACCEPTED, "acknowledged": trace.ACKNOWLEDGED}[word]
            ledger.traced(0, np.array([number]), *one, np.array([now_us]))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_each_sample_ends_where_it_was_lost(fates: list[str], random: object) -> None:
    ledger = Ledger.for_tags(range(1, TAGS + 1), START_US)
    samples = [(1 + i % TAGS, i // TAGS, FATES[fate]) for i, fate in enumerate(fates)]
    # A sample's own events keep their order, but for the trace's, which may lag behind anything; samples mix freely.
    queues = []
    for tag, counter, (events, _) in samples:
        traced = [event for event in events if event in ("heard", "accepted", "acknowledged")]
        others = [event for event in events if event not in traced]
        queues += [[(tag, counter, event) for event in part] for part in (others, traced) if part]
    now_us = START_US
    while queues:
        queue = random.choice(queues)  # type: ignore[attr-defined]
        now_us += 1_000
        tag, counter, event = queue.pop(0)
        tell_ledger(ledger, tag, counter, event, now_us, sequence=now_us)
        queues = [queue for queue in queues if queue]
    account = ledger.account()
    expected = Counter(name for _, _, (_, name) in samples)
    assert {name: count for name, count in account.verdict.counts.items() if count} == dict(expected)
    assert sum(account.verdict.counts.values()) == account.made == ledger.made_count == len(samples)
    assert account.verdict.never_made == 0
    assert account.duplicates.other_hub == fates.count("two hubs")
    assert account.duplicates.redelivered == account.duplicates.resent == 0
    for tag in range(1, TAGS + 1):
        assert ledger.account([tag]).made == sum(one[0] == tag for one in samples)


def test_every_class_has_a_fate_that_leads_there() -> None:
    assert {name for _, name in FATES.values()} | {"dropped"} == set(CLASSES)  # dropped: see test_ledger


def test_ledger_that_was_kept_tells_the_story_of_each_sample(tmp_path: Path) -> None:
    tag_ids = np.arange(1, TAGS + 1)
    ledger = Ledger(tag_ids, np.zeros(TAGS, np.int64), START_US, START_US, depth=2, folder=tmp_path)
    for i, (events, _) in enumerate(FATES.values()):
        for event in events:
            tell_ledger(ledger, 1 + i % TAGS, i // TAGS, event, START_US + 2_000, sequence=i)
    ledger.save({"name": "fates", "hubs": ["hub-1", "hub-2"]})
    for i, (fate, (_, name)) in enumerate(FATES.items()):
        story = tell(tmp_path, 1 + i % TAGS, i // TAGS)
        assert story["class"] == name, fate
    two_hubs = list(FATES).index("two hubs")
    assert tell(tmp_path, 1 + two_hubs % TAGS, two_hubs // TAGS)["heard_by"] == ["hub-1", "hub-2"]
