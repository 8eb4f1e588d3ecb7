"""Sessions, history, commands and bundles against protocol/vectors, as portable_vectors.py does for beacons: under
CPython (imported) and MicroPython (as a script). Each check returns how many cases it took."""

import json
import sys
from binascii import hexlify, unhexlify

from tagwire import (
    bundle,
    command,
    gatt_ids,
    history,
    history_decode,
    messages,
    ranges,
    revocation,
    seal,
    session,
    tagend,
)
from tagwire.errors import DecodeError


def refused(function, *arguments):
    """The reason of the DecodeError that a call raises; what it returned where it raises none."""
    try:
        return function(*arguments)
    except DecodeError as error:
        return error.reason


def same(got, wanted, name):
    assert got == wanted, (name, got, wanted)


def record_of(values):
    return history.Record(*values[:10], bool(values[10]))  # type: ignore[call-arg]  # values: ten integers first


def pairs(values):
    return [(first, last) for first, last in values]


def check_history(vectors):
    for case in vectors["valid"]:
        records = [record_of(values) for values in case["records"]]
        block = unhexlify(case["block"])
        encoder = history.BlockEncoder(len(block))
        for record in records:
            assert encoder.add(record), case["name"]
        same(encoder.finish(), block, case["name"])
        same(history_decode.decode_block(block), records, case["name"])
    for case in vectors["decode"]:
        records = [record_of(values) for values in case["records"]]
        same(history_decode.decode_block(unhexlify(case["block"])), records, case["name"])
    for case in vectors["refuse"]:
        same(refused(history_decode.decode_block, unhexlify(case["block"])), case["reason"], case["name"])
    return sum([len(vectors[group]) for group in ("valid", "decode", "refuse")])


class JournalTag:
    """The tag of the whole session: some records, some counters whose samples are gone."""

    def __init__(self, records, gone):
        self.records = {record.counter: record for record in records}
        self.gone = gone

    def newest(self):
        return max(self.records)

    def unsettled(self):
        return len(self.records)

    def read(self, wanted):
        for first, last in wanted:
            for counter in range(first, last + 1):
                yield self.records.get(counter) or tagend.Hole(counter, counter, counter in self.gone)

    def settle(self, settled):
        return messages.STATUS_OK

    def identify(self, seconds):
        return messages.STATUS_OK


def check_session(vectors):
    keys = vectors["keys"]
    tag_id = keys["tag_id"]
    hub_key = session.hub_key(unhexlify(keys["root_key"]), keys["hub_id"], keys["epoch"])
    same(hub_key, unhexlify(keys["hub_key"]), "hub key")
    key = session.session_key(hub_key, unhexlify(keys["hub_random"]), unhexlify(keys["tag_random"]))
    same(key, unhexlify(keys["session_key"]), "session key")
    check_opening(vectors, hub_key, key)
    for case in vectors["ranges"]:
        same(ranges.encode_ranges(pairs(case["ranges"])), (unhexlify(case["bytes"]), []), case["name"])
        same(ranges.decode_ranges(unhexlify(case["bytes"])), pairs(case["ranges"]), case["name"])
    for case in vectors["bad_ranges"]:
        same(refused(ranges.decode_ranges, unhexlify(case["bytes"])), case["reason"], case["name"])
    for case in vectors["messages"]:
        content = [(kind, unhexlify(value)) for kind, value in case["messages"]]
        plaintext = b"".join([messages.encode_message(kind, value) for kind, value in content])
        same(plaintext, unhexlify(case["plaintext"]), case["name"])
        same(messages.decode_messages(plaintext), content, case["name"])
    for case in vectors["bad_messages"]:
        same(refused(messages.decode_messages, unhexlify(case["plaintext"])), case["reason"], case["name"])
    for case in vectors["frames"]:
        direction = session.TOWARDS_TAG if case["towards_tag"] else 0
        frame = unhexlify(case["frame"])
        nonce = session.session_nonce(frame[0], tag_id, case["number"], direction)
        same(nonce, unhexlify(case["nonce"]), case["name"])
        sender = session.Channel(key, tag_id, case["towards_tag"])
        receiver = session.Channel(key, tag_id, not case["towards_tag"])
        sender._next_sent = receiver.next_received = case["number"]
        same(sender.seal(unhexlify(case["plaintext"])), frame, case["name"])
        same(receiver.open(frame), unhexlify(case["plaintext"]), case["name"])
    tag = session.Channel(key, tag_id, False)
    tag.next_received = 1
    for case in vectors["refuse"]:
        same(refused(tag.open, unhexlify(case["frame"])), case["reason"], case["name"])
    for case in vectors["info"]:
        info = gatt_ids.Info(case["protocol"], tuple(case["firmware"]), case["board"])
        same(gatt_ids.decode_info(unhexlify(case["bytes"])), info, case["name"])
        assert "more bytes" in case["name"] or gatt_ids.encode_info(info) == unhexlify(case["bytes"]), case["name"]
    for case in vectors["bad_info"]:
        same(refused(gatt_ids.decode_info, unhexlify(case["bytes"])), case["reason"], case["name"])
    check_whole_session(vectors["whole"], keys, hub_key)
    groups = "clear bad_clear answers ranges bad_ranges messages bad_messages frames refuse info bad_info"
    return sum([len(vectors[group]) for group in groups.split()])


def tag_handshake(keys, hub_key):
    def key_for(hub_id, epoch):
        return hub_key if (hub_id, epoch) == (keys["hub_id"], keys["epoch"]) else None

    return session.TagHandshake(keys["tag_id"], key_for, lambda size: unhexlify(keys["tag_random"]))


def check_opening(vectors, hub_key, key):
    """The frames in clear: what each says is what the hub's end sends, or makes of it."""
    keys = vectors["keys"]
    hello, welcome, declined = vectors["clear"]
    hub = session.HubHandshake(keys["tag_id"], hub_key, hello["hub_id"], hello["epoch"], unhexlify(hello["hub_random"]))
    same(hub.hello, unhexlify(hello["frame"]), "hello")
    channel = hub.welcome(unhexlify(welcome["frame"]))
    same(channel.seal(b""), session.Channel(key, keys["tag_id"], True).seal(b""), "welcome")
    same(welcome["tag_random"], keys["tag_random"], "welcome")
    same(unhexlify(declined["frame"])[1], declined["status"], "refused")
    same(refused(hub.welcome, unhexlify(declined["frame"])), "refused", "refused")
    for case in vectors["bad_clear"]:
        same(refused(session.frame_type, unhexlify(case["frame"])), case["reason"], case["name"])
    for case in vectors["answers"]:
        same(tag_handshake(keys, hub_key).hello(unhexlify(case["hub"])), unhexlify(case["tag"]), case["name"])


def said(channel, frame):
    return [[kind, hexlify(value).decode()] for kind, value in messages.decode_messages(channel.open(unhexlify(frame)))]


def check_whole_session(whole, keys, hub_key):
    key = unhexlify(keys["session_key"])
    at_tag, at_hub = session.Channel(key, keys["tag_id"], False), session.Channel(key, keys["tag_id"], True)
    for step in whole["steps"][1:]:
        same(said(at_tag, step["hub"]), step["hub_messages"], "whole session")
        same([said(at_hub, frame) for frame in step["tag"]], step["tag_messages"], "whole session")
    handshake = tag_handshake(keys, hub_key)
    tag = JournalTag([record_of(values) for values in whole["journal"]], whole["gone"])
    end = tagend.TagEnd(handshake, tag)  # type: ignore[arg-type]  # it can do what these sessions ask for
    for step in whole["steps"]:
        end.receive(unhexlify(step["hub"]))
        for frame in step["tag"]:
            same(end.next_frame(), unhexlify(frame), "whole session")
        same(end.next_frame(), None, "whole session")


class Memory:
    def __init__(self):
        self.data = None

    def load(self):
        return self.data

    def save(self, data):
        self.data = data


class Doer:
    def ready(self, asked):
        return messages.STATUS_OK

    def execute(self, asked):
        return messages.STATUS_OK, b"ok"


def check_command(vectors):
    keys = vectors["keys"]
    tag_id = keys["tag_id"]
    key = command.platform_key(unhexlify(keys["root_key"]))
    same(key, unhexlify(keys["platform_key"]), "platform key")
    encrypt = seal.aes128(key)
    for case in vectors["commands"]:
        asked = command.Command(case["number"], case["opcode"], case["expires_s"], unhexlify(case["value"]))
        envelope = unhexlify(case["envelope"])
        nonce = command.command_nonce(envelope[0], tag_id, case["number"], session.TOWARDS_TAG)
        same(nonce, unhexlify(case["nonce"]), case["name"])
        same(command.seal_command(encrypt, tag_id, asked), envelope, case["name"])
        same(command.open_command(encrypt, tag_id, envelope), asked, case["name"])
    for case in vectors["replies"]:
        reply = (case["number"], case["status"], unhexlify(case["detail"]))
        same(command.open_reply(encrypt, tag_id, unhexlify(case["envelope"])), reply, case["name"])
    receiver = command.CommandReceiver(unhexlify(keys["root_key"]), tag_id, keys["generation"], Memory(), Doer())
    for case in vectors["receiver"]:
        wanted = (case["status"], unhexlify(case["reply"]))
        same(receiver.receive(unhexlify(case["envelope"]), case["now_s"]), wanted, case["name"])
    for case in vectors["memory"]:
        kept = (case["number"], case["status"], unhexlify(case["detail"]))
        same(command.encode_memory(*kept), unhexlify(case["bytes"]), case["name"])
        same(command.decode_memory(unhexlify(case["bytes"])), kept, case["name"])
    for case in vectors["bad_memory"]:
        same(refused(command.decode_memory, unhexlify(case["bytes"])), "format", case["name"])
    floors = revocation.HubFloors(unhexlify(vectors["revoked"]["bytes"]))
    same(floors.encode(), unhexlify(vectors["revoked"]["bytes"]), "revoked hubs")
    for case in vectors["revoked"]["permits"]:
        same(floors.permits(case["hub_id"], case["epoch"], case["now_s"]), case["permitted"], case)
    for case in vectors["revoked"]["bad"]:
        same(refused(revocation.HubFloors, unhexlify(case["bytes"])), "format", case["name"])
    return sum([len(vectors[group]) for group in ("commands", "replies", "receiver", "memory", "bad_memory")])


def read_bundle(data, modulus, chunk):
    reader = bundle.BundleReader([modulus], "esp32-devkit", (1, 28))
    content: dict[str, bytes] = {}
    for at in range(0, len(data), chunk):
        for file, piece, _ in reader.feed(data[at : at + chunk]):
            content[file.path] = content.get(file.path, b"") + piece
    reader.finish()
    return content


def check_bundle(vectors):
    modulus = int(vectors["modulus"], 16)
    for case in vectors["valid"]:
        files = {path: unhexlify(content) for path, content in case["files"]}
        for chunk in (64, 233, 100000):
            same(read_bundle(unhexlify(case["bundle"]), modulus, chunk), files, case["name"])
    for case in vectors["refuse"]:
        same(refused(read_bundle, unhexlify(case["bundle"]), modulus, 233), case["reason"], case["name"])
    return len(vectors["valid"]) + len(vectors["refuse"])


CHECKS = {
    "history": check_history,
    "session": check_session,
    "command": check_command,
    "bundle": check_bundle,
}

if __name__ == "__main__":
    for name in CHECKS:
        with open(sys.argv[1] + "/" + name + ".json") as file:
            print(name, CHECKS[name](json.load(file)))
