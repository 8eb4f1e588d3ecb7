"""Provisioning files, persisted counters, keyring lines."""

import json
from binascii import crc32
from typing import Any

from tagwire import reference, reference_session
from vector_cases.subject import COMPANY_ID, NOW_S, ROOT_KEY, TAG_ID, Case


def provisioning() -> Case:
    """Provisioning files, persisted counters, keyring lines."""
    values = {
        "format": "tagstack-provision/1",
        "tag_id": TAG_ID,
        "root_key": ROOT_KEY.hex(),
        "generation": 1,
        "company_id": COMPANY_ID,
        "board": "esp32-devkit",
        "settings": {"interval_s": 300, "gnss": True, "note": "pallet 7"},
    }

    def file(content: str, crc: int | None = None) -> str:
        return f"{content}\n{crc32(content.encode()) if crc is None else crc:08x}\n"

    def changed(**changes: Any) -> str:
        return file(json.dumps({**values, **changes}))

    smallest = {**values, "tag_id": 0, "generation": 0, "company_id": 0, "board": "x", "settings": {}}
    largest = {**values, "tag_id": 0xFFFFFFFF, "generation": 255}
    good = [
        {"name": name, "file": file(json.dumps(content)), "values": content}
        for name, content in (("typical", values), ("smallest", smallest), ("largest", largest))
    ]
    good.append({"name": "a key from the future", "file": changed(colour="red"), "values": values})
    good.append({"name": "without the last newline", "file": changed()[:-1], "values": values})
    good.append({"name": "root key in capitals", "file": changed(root_key=ROOT_KEY.hex().upper()), "values": values})
    twice = file('{"generation": 7, ' + json.dumps(values)[1:])
    good.append({"name": "of a key that comes twice the last one counts", "file": twice, "values": values})
    room = 4_096 - len(changed(pad=""))
    good.append({"name": "4,096 bytes", "file": changed(pad="x" * room), "values": values})
    without_id = {key: value for key, value in values.items() if key != "tag_id"}
    bad = {
        "empty": "",
        "one line": json.dumps(values),
        "three lines": changed() + "more\n",
        "one character changed": changed().replace("00c0ffee".upper(), "").replace("esp32", "esp33"),
        "wrong CRC": file(json.dumps(values), 0),
        "CRC in capitals": changed().split("\n")[0] + "\n" + changed().split("\n")[1].upper() + "\n",
        "not JSON": file("{"),
        "4,097 bytes": changed(pad="x" * (room + 1)),
        "board of 33 characters": changed(board="x" * 33),
        "not an object": file("[]"),
        "another format": changed(format="tagstack-provision/2"),
        "no tag id": file(json.dumps(without_id)),
        "tag id too large": changed(tag_id=0x1_0000_0000),
        "tag id negative": changed(tag_id=-1),
        "tag id is a boolean": changed(tag_id=True),
        "root key of 15 bytes": changed(root_key=ROOT_KEY[1:].hex()),
        "root key is not hexadecimal": changed(root_key="x" * 32),
        "root key is a number": changed(root_key=5),
        "generation 256": changed(generation=256),
        "company id too large": changed(company_id=0x10000),
        "board missing": changed(board=""),
        "settings are a list": changed(settings=[]),
        "a setting is an object": changed(settings={"a": {}}),
        "a setting is a fraction": changed(settings={"a": 1.5}),
    }
    latin = json.dumps({**values, "board": "b"}).encode().replace(b'"b"', b'"\xe9"')
    counters: list[Case] = [
        {"counter": n, "blob": (n.to_bytes(4, "little") + crc32(n.to_bytes(4, "little")).to_bytes(4, "little")).hex()}
        for n in (0, 1, 0x0100_0000, 0x0123_4567, 0xFFFF_FFFE)
    ]
    blob = counters[3]["blob"]
    key = reference.beacon_key(ROOT_KEY, 1).hex()
    entry = {"id": TAG_ID, "generation": 1, "beacon_key": key}
    more = {
        "id_key": "11" * 16,
        "previous": {"generation": 0, "beacon_key": "22" * 16, "id_key": "33" * 16, "expires_s": NOW_S + 86_400},
        "last_counter": 70,
        "expires_s": NOW_S,
        "hub": {"id": 45067, "epoch": 20800, "key": reference_session.hub_key(ROOT_KEY, 45067, 20800).hex()},
    }
    endless = {"hub": {"id": 0, "epoch": 0xFFFF, "key": reference_session.hub_key(ROOT_KEY, 0, 0xFFFF).hex()}}
    bad_entries: dict[str, Any] = {
        "beacon_key has 15 bytes, not 16": {**entry, "beacon_key": key[2:]},
        "beacon_key is not hexadecimal": {**entry, "beacon_key": "zz" * 16},
        "id_key is not hexadecimal": {**entry, "id_key": "11 " * 16},
        "no beacon_key": {"id": 1, "generation": 0},
        "no id": {"generation": 0, "beacon_key": key},
        "id is not an integer within 0 to 4294967295": {**entry, "id": "7"},
        "generation is not an integer within 0 to 255": {**entry, "generation": 256},
        "id_key has 1 bytes, not 16": {**entry, "id_key": "00"},
        "expires_s is not an integer within 0 to 8589934591": {
            **entry,
            "previous": {"generation": 0, "beacon_key": key, "expires_s": "soon"},
        },
        "previous is not an object": {**entry, "previous": 0},
        "previous generation 1 is not below generation 1": {**entry, "previous": {"generation": 1, "beacon_key": key}},
        "last_counter is not an integer within 0 to 4294967295": {**entry, "last_counter": -1},
        "hub is not an object": {**entry, "hub": 1},
        "no key": {**entry, "hub": {"id": 1, "epoch": 20800}},
        "key has 15 bytes, not 16": {**entry, "hub": {"id": 1, "epoch": 20800, "key": "00" * 15}},
        "epoch is not an integer within 0 to 65535": {**entry, "hub": {**endless["hub"], "epoch": 0x10000}},
        "no epoch": {**entry, "hub": {"id": 1, "key": "00" * 16}},
        "not a JSON object": [],
    }
    line = json.dumps(entry)
    bad_lines = {
        "not JSON": "{",
        "beacon_key comes twice": line[:-1] + f', "beacon_key": "{"00" * 16}"' + "}",
        "id comes twice": r'{"\u0069d": 1, ' + line[1:],
        "colour comes twice": '{"colour": 1, "colour": 1, ' + line[1:],
        "generation comes twice": line[:-1]
        + f', "previous": {{"generation": 0, "generation": 0, "beacon_key": "{key}"}}'
        + "}",
    }
    return {
        "about": "Provisioning files, the 8 bytes of a persisted counter, and keyring lines; all that is bad has the "
        "reason 'format'. bad_bytes: files that are no UTF-8, in hexadecimal. The names of bad keyring lines are the "
        "detail that ours gives; only the reason is part of the format.",
        "good": good,
        "bad": [{"name": name, "file": text} for name, text in bad.items()],
        "bad_bytes": [{"name": "invalid UTF-8", "file": (latin + b"\n%08x\n" % crc32(latin)).hex()}],
        "counters": counters,
        "bad_counters": [
            {"name": "one bit flipped", "blob": "66" + blob[2:]},
            {"name": "erased flash", "blob": "ff" * 8},
            {"name": "zeros", "blob": "00" * 8},
            {"name": "truncated", "blob": blob[:-2]},
            {"name": "too long", "blob": blob + "00"},
            {"name": "empty", "blob": ""},
        ],
        "keyring": [
            {"name": "smallest", "line": json.dumps(entry), "values": entry},
            {"name": "everything", "line": json.dumps({**entry, **more}), "values": {**entry, **more}},
            {
                "name": "a hub's key without end",
                "line": json.dumps({**entry, **endless}),
                "values": {**entry, **endless},
            },
            {"name": "a key from the future", "line": json.dumps({**entry, "colour": 1}), "values": entry},
        ],
        "bad_keyring": [{"name": name, "line": json.dumps(line)} for name, line in bad_entries.items()]
        + [{"name": name, "line": text} for name, text in bad_lines.items()],
    }
