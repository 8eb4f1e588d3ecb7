# Runs on the board: every file but the key, in pieces. ARGUMENTS: names to leave out. The samples that wait in RTC
# memory come first, as a file beside the journal's: nothing here may make the board forget them.
import json
import os
from binascii import b2a_base64


def dump(folder):
    for entry in os.ilistdir(folder or "/"):
        path = folder + entry[0]
        if path in ARGUMENTS:
            continue
        if entry[1] & 0x4000:
            dump(path + "/")
            continue
        with open(path, "rb") as file:
            begin(path)
            while True:
                piece = file.read(480)
                if not piece:
                    break
                send(path, piece)


def begin(path):
    print("@" + json.dumps([path, None]))


def send(path, piece):
    print("@" + json.dumps([path, b2a_base64(piece).decode().strip()]))


def dump_waiting():
    try:
        from machine import RTC

        from tag.pending import folder_of
        from tag.state import decode_state
        from tagwire.provision import decode_provision

        with open("provision.json", "rb") as file:
            tag_id = decode_provision(file.read()).tag_id
        state = decode_state(RTC().memory())
        pending = state.pending if state.config.tag_id == tag_id else None
    except Exception:  # no tag, or one that has just got its power: nothing waits
        return
    if pending and pending.records:
        path = "%s/%08x.waiting" % (folder_of(tag_id), pending.base)
        begin(path)
        send(path, pending.records)


dump_waiting()
dump("")
