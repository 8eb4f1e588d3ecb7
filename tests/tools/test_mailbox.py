"""Commands over the air: two ends joined, the inventory's and the tag's own receiver."""

import asyncio
import base64
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from taghub.embedded_broker import embedded_broker
from taghub.mqtt_client import end_thread
from tagsmith import lifecycle, mailbox
from tagsmith.carrier import parse_broker, parse_reply, to_message
from tagsmith.command_line import main
from tagsmith.errors import BrokerError, InventoryError, TrustError
from tagsmith.hub_keys import keyring
from tagsmith.inventory import Inventory
from tagsmith.records import Change, Order
from tagwire import command
from tagwire.command import Command, CommandReceiver
from tagwire.keys import beacon_key
from tagwire.messages import STATUS_EXPIRED, STATUS_OK, STATUS_REPLAYED, STATUS_VALUE

ORDER = Order("esp32-devkit", 0xFFFF, {"interval_s": 60}, "box")
NEVER = command.EXPIRES_NEVER


class FarTag:
    """A tag somewhere out there: the wire's own receiver, with a memory, that does what it is told."""

    def __init__(self, inventory: Inventory, tag_id: int) -> None:
        provision = inventory.provision_of(tag_id, 0)
        self.memory = b""
        self.done: list[Command] = []
        self.outcome = STATUS_OK, b""
        self._receiver = CommandReceiver(provision.root_key, tag_id, provision.generation, self, self)

    def load(self) -> bytes | None:
        return self.memory or None

    def save(self, data: bytes) -> None:
        self.memory = data

    def ready(self, _command: Command) -> int:
        return STATUS_OK

    def execute(self, wanted: Command) -> tuple[int, bytes]:
        self.done.append(wanted)
        return self.outcome

    def receive(self, envelope: bytes, now_s: int | None = 2_000_000_000) -> tuple[int, bytes]:
        return self._receiver.receive(envelope, now_s)


@pytest.fixture
def inventory(inventory_path: Path) -> Iterator[Inventory]:
    with Inventory(inventory_path, clock=lambda: 1_900_000_000) as inventory:
        for chip in ("aa", "bb"):
            tag_id = inventory.new_tag(ORDER)
            inventory.begin(tag_id, 0, chip)
            inventory.move(tag_id, 0, lifecycle.VERIFIED)
            inventory.move(tag_id, 0, lifecycle.READY)
        yield inventory


def test_settings_reach_the_tag_and_its_answer_ends_what_was_due(inventory: Inventory) -> None:
    tag = FarTag(inventory, 1000)
    inventory.change(1000, Change(settings={"burst_events": 5}))
    row = mailbox.seal_settings(inventory, 1000, {"interval_s": 300}, NEVER, "summer")
    assert inventory.tag(1000).due is not None
    status, reply = tag.receive(row.envelope)
    assert (status, json.loads(tag.done[0].value)) == (STATUS_OK, {"interval_s": 300, "burst_events": 5})
    answered = mailbox.take_reply(inventory, 1000, reply)
    assert (answered.status, inventory.tag(1000).due) == (STATUS_OK, None)
    assert inventory.tag(1000).written == ("esp32-devkit", 0xFFFF, {"interval_s": 300, "burst_events": 5})
    assert inventory.provision_of(1000, 0).settings == {"interval_s": 60}, "the tag keeps its file as it was"
    assert mailbox.take_reply(inventory, 1000, reply) == answered, "the same reply may come again"
    with pytest.raises(InventoryError, match="has these settings already"):
        mailbox.seal_settings(inventory, 1000, {"interval_s": 300}, NEVER, "")
    assert len(mailbox.sealed(inventory)) == 1, "what was refused was not sealed"


def test_setting_goes_back_to_its_default_by_a_command_too(inventory: Inventory) -> None:
    inventory.change(1000, Change(settings={"interval_s": None}))
    row = mailbox.seal_settings(inventory, 1000, {}, NEVER, "")
    assert json.loads(row.value) == {"interval_s": 300}
    mailbox.take_reply(inventory, 1000, FarTag(inventory, 1000).receive(row.envelope)[1])
    assert inventory.tag(1000).due is None


def test_tag_that_had_rotated_further_says_how_far(inventory: Inventory) -> None:
    tag = FarTag(inventory, 1000)
    rows = [mailbox.seal_rotate(inventory, 1000, NEVER, "")]
    tag.receive(rows[0].envelope)  # its reply is lost
    tag.outcome = STATUS_VALUE, b"\x01"
    again = mailbox.seal(inventory, 1000, command.ROTATE, b"\x01", NEVER, "sealed by hand")
    assert mailbox.take_reply(inventory, 1000, tag.receive(again.envelope)[1]).status == STATUS_VALUE
    assert inventory.tag(1000).generation == 1


def test_settings_that_no_command_can_carry_are_refused(inventory: Inventory) -> None:
    inventory.change(1001, Change(board="esp32c3-devkit"))
    with pytest.raises(InventoryError, match="board esp32-devkit -> esp32c3-devkit"):
        mailbox.seal_settings(inventory, 1001, {"burst_events": 5}, NEVER, "")
    assert inventory.tag(1001).settings == {"interval_s": 60}, "all or nothing"


def test_rotation_is_in_keyrings_from_its_sealing_on(inventory: Inventory) -> None:
    tag = FarTag(inventory, 1000)
    root_key = inventory.provision_of(1000, 0).root_key
    row = mailbox.seal_rotate(inventory, 1000, NEVER, "yearly")
    entry = keyring(inventory, [1000])[0]
    assert (entry.generation, entry.previous_generation) == (1, 0)
    assert entry.beacon_key == beacon_key(root_key, 1)
    with pytest.raises(InventoryError, match="has not answered its last rotation"):
        mailbox.seal_rotate(inventory, 1000, NEVER, "")
    mailbox.take_reply(inventory, 1000, tag.receive(row.envelope)[1])
    entry = keyring(inventory, [1000])[0]
    assert (entry.generation, entry.previous_generation, inventory.tag(1000).generation) == (1, None, 1)
    assert mailbox.seal_rotate(inventory, 1000, NEVER, "").value == b"\x02"
    with pytest.raises(InventoryError, match="would not be above 2"):
        inventory.begin(1000, 2, "aa")
    assert inventory.begin(1000, 3, "aa").root_key != root_key


def test_one_number_is_one_command_and_never_another(inventory: Inventory) -> None:
    tag = FarTag(inventory, 1000)
    rows = [mailbox.seal(inventory, 1000, command.REBOOT, b"", NEVER, "") for _ in range(3)]
    assert [row.number for row in rows] == [0, 1, 2]
    for statement in ("DELETE FROM command", "UPDATE command SET envelope = x'00'", "UPDATE command SET number = 9"):
        with pytest.raises(sqlite3.IntegrityError):
            inventory.connection.execute(statement)
    assert [tag.receive(row.envelope)[0] for row in rows] == [STATUS_OK] * 3
    assert tag.receive(rows[0].envelope) == (STATUS_REPLAYED, b"")
    assert len(tag.done) == 3
    # A new key: numbers go on above those that a tag of that generation would call old.
    inventory.begin(1000, 1, "aa")
    inventory.move(1000, 1, lifecycle.VERIFIED)
    assert mailbox.seal(inventory, 1000, command.REBOOT, b"", NEVER, "").number == 1 << 24


def test_command_that_came_too_late_is_answered_so(inventory: Inventory) -> None:
    row = mailbox.seal(inventory, 1000, command.REBOOT, b"", 1_900_000_100, "")
    assert mailbox.sealed(inventory, is_open=True) == [row]
    _, reply = FarTag(inventory, 1000).receive(row.envelope, 1_900_000_101)
    assert mailbox.take_reply(inventory, 1000, reply).status == STATUS_EXPIRED
    assert mailbox.sealed(inventory, is_open=True) == []


def test_replies_that_are_not_the_tags_are_refused(inventory: Inventory) -> None:
    row = mailbox.seal(inventory, 1000, command.REBOOT, b"", NEVER, "")
    _, reply = FarTag(inventory, 1000).receive(row.envelope)
    with pytest.raises(TrustError, match="is forged"):
        mailbox.take_reply(inventory, 1000, reply[:-1] + bytes([reply[-1] ^ 1]))
    with pytest.raises(InventoryError, match="not of this bench"):
        mailbox.take_reply(inventory, 1001, reply)
    assert mailbox.sealed(inventory)[0].status is None
    assert mailbox.take_reply(inventory, 1000, reply).status == STATUS_OK


def test_tags_without_a_key_that_is_known_take_no_commands(inventory: Inventory) -> None:
    inventory.new_tag(ORDER, 7)
    inventory.begin(1001, 1, "bb")  # a board that lost its cable: which key it has, nobody knows
    inventory.revoke(1000, "stolen")
    for tag_id in (7, 1000, 1001):
        with pytest.raises(InventoryError, match="takes no commands"):
            mailbox.seal(inventory, tag_id, command.REBOOT, b"", NEVER, "")


def test_stolen_hub_is_told_to_every_tag(inventory: Inventory) -> None:
    tag = FarTag(inventory, 1001)
    rows = mailbox.seal_revoke_hub(inventory, [1000, 1001], 45067, 20_800, NEVER, "stolen")
    tag.receive(rows[1].envelope)
    assert tag.done[0].value == (45067).to_bytes(4, "little") + (20_800).to_bytes(2, "little")


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt:///x"])
def test_broker_that_is_none_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="not a broker"):
        parse_broker(url)


@pytest.mark.parametrize("text", ["", "[]", '{"tag": 1, "reply": "%"}', '{"reply": ""}', '{"tag": true}', "[" * 9999])
def test_reply_that_is_none_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is no reply|its tag"):
        parse_reply(text)


@pytest.fixture
def broker_port(free_port: Callable[[], int]) -> Iterator[int]:
    """A real broker."""
    port = free_port()
    started, ends = threading.Event(), threading.Event()

    async def serve() -> None:
        async with embedded_broker(port):
            started.set()
            await asyncio.to_thread(ends.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(30)
        yield port
    finally:
        ends.set()
        thread.join()


def test_commands_go_to_a_hub_and_answers_come_back(
    inventory: Inventory,
    inventory_path: Path,
    broker_port: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tags = {tag_id: FarTag(inventory, tag_id) for tag_id in (1000, 1001)}
    hub = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    subscribed = threading.Event()
    hub.on_subscribe = lambda *_: subscribed.set()

    def carry(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        row = json.loads(message.payload)
        status, reply = tags[row["tag"]].receive(base64.b64decode(row["envelope"]))
        answer = {"tag": row["tag"], "status": status, "reply": base64.b64encode(reply).decode()}
        client.publish("tags/v1/depot/hub-1/reply", "not for us", 1)
        client.publish("tags/v1/depot/hub-1/reply", json.dumps(answer), 1)

    hub.on_message = carry
    hub.connect("127.0.0.1", broker_port)
    hub.loop_start()
    hub.subscribe("tags/v1/depot/hub-1/command", 1)
    assert subscribed.wait(10)

    def tagsmith(*words: str) -> dict[str, list[dict[str, object]]]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--inventory", str(inventory_path), "--json"])
        assert not ended.value.code
        answer: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
        return answer

    tagsmith("command", "settings", "1000", "--set", "interval_s=300", "--days", "0")
    made = tagsmith("command", "revoke-hub", "7", "-o", str(tmp_path / "commands.jsonl"))["commands"]
    lines = (tmp_path / "commands.jsonl").read_text().splitlines()
    assert [json.loads(line)["envelope"] for line in lines] == [row["envelope"] for row in made]
    where = ["--site", "depot", "--hub", "hub-1", "--broker", f"mqtt://127.0.0.1:{broker_port}", "--wait-s", "60"]
    sent = tagsmith("command", "send", *where)["commands"]
    end_thread(hub)
    assert [(row["tag"], row["command"], row["outcome"]) for row in sent] == [
        (1000, "settings", "ok"),
        (1000, "revoke-hub", "ok"),
        (1001, "revoke-hub", "ok"),
    ]
    assert tagsmith("command", "list", "--open")["commands"] == []
    assert [wanted.opcode for wanted in tags[1000].done] == [command.SETTINGS, command.REVOKE]


def test_replies_from_a_file_and_a_broker_that_is_away(
    inventory: Inventory, inventory_path: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    tag = FarTag(inventory, 1000)
    row = mailbox.seal(inventory, 1000, command.REBOOT, b"", NEVER, "")
    envelope = base64.b64decode(json.loads(to_message(row))["envelope"])
    reply = base64.b64encode(tag.receive(envelope)[1]).decode()
    file = tmp_path / "replies.jsonl"
    where = ["--site", "depot", "--hub", "hub-1", "--broker", f"127.0.0.1:{free_port()}"]
    for words, code in (
        (["send", *where], BrokerError.exit_code),
        (["reply", str(file)], 0),
        (["send", *where], InventoryError.exit_code),  # nothing is open any more
    ):
        file.write_text(json.dumps({"tag": 1000, "status": 0, "reply": reply}) + "\n\n")
        with pytest.raises(SystemExit) as ended:
            main(["command", *words, "--inventory", str(inventory_path)])
        assert (ended.value.code or 0) == code
    assert mailbox.sealed(inventory)[0].status == STATUS_OK
