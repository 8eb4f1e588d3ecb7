# Runs on the board: reads an identity back from flash, and tells its hash: the key does not travel twice.
import hashlib
import json
from binascii import hexlify


def check():
    try:
        with open("provision.json", "rb") as file:
            digest = hexlify(hashlib.sha256(file.read()).digest()).decode()
    except OSError:
        digest = None
    try:
        from tag.places import read_limits

        limits = read_limits()
    except ImportError:
        from binascii import crc32

        with open("counter", "rb") as file:
            data = file.read()
        fits = len(data) == 8 and crc32(data[:4]).to_bytes(4, "little") == data[4:]
        limits = [int.from_bytes(data[:4], "little") if fits else None]
    print("@" + json.dumps({"provision": digest, "limits": limits}))


check()
