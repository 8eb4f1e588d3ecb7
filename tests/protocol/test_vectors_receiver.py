"""The hub's receiver under its budget, as receiver.json has it. Its runs are in tests/gateway."""

import json

from vector_files import load

from taghub.heard import Heard
from taghub.intake import Intake
from taghub.registry import Registry
from tagwire.keyring import decode_entry


def test_searches_end_with_the_budget() -> None:
    run = load("receiver")["budget"]
    intake = Intake(Registry([decode_entry(json.dumps(run["keyring"]).encode())]))
    for step in run["steps"]:
        before = dict(intake.counts)
        intake.take([Heard(step["now_s"] * 1_000_000, -60, bytes.fromhex(step["beacon"]))] * step["times"])
        changes = {word: count - before[word] for word, count in intake.counts.items() if count != before[word]}
        assert changes == {step["expect"]: step["times"]}
