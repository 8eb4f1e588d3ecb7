"""A running hub gets another keyring."""

import signal
from collections.abc import Callable
from pathlib import Path

from hub_process import HubProcess, Subscriber
from tags import Tag
from waiting import wait_until

from tagwire.keyring import write_keyring

KNOWN, NEW = Tag(1), Tag(2)


def test_sighup_reads_the_keyring_and_takes_what_was_heard_before(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    with HubProcess(tmp_path, [KNOWN.entry()], f"[broker]\nport = {port}\n").start() as hub, Subscriber(port) as mqtt:
        hub.advertise(NEW.advertisement(4), KNOWN.advertisement(1))
        wait_until(lambda: mqtt.keys == [(1, 1)], "the known tag's sample")
        (tmp_path / "keyring.jsonl").write_text("{", "ascii")
        hub.notify(signal.SIGHUP)
        wait_until(lambda: "stays in force" in hub.log, "a broken keyring is refused")
        write_keyring(tmp_path / "keyring.jsonl", [KNOWN.entry(), NEW.entry(id_key=NEW.id_key())])
        hub.notify(signal.SIGHUP)
        wait_until(lambda: (2, 4) in mqtt.keys, "the new tag's sample, heard before its key came")
        hub.advertise(KNOWN.advertisement(1), NEW.advertisement(4), KNOWN.advertisement(2), NEW.advertisement(5))
        wait_until(lambda: len(mqtt.keys) >= 4, "both go on")
        assert sorted(mqtt.keys) == [(1, 1), (1, 2), (2, 4), (2, 5)]
