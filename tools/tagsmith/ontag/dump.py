# Runs on the board: every file but the key, in pieces. ARGUMENTS: names to leave out.
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
            print("@" + json.dumps([path, None]))
            while True:
                piece = file.read(480)
                if not piece:
                    break
                print("@" + json.dumps([path, b2a_base64(piece).decode().strip()]))


dump("")
