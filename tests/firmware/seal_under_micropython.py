"""Seals the readings of a JSON file as a tag does and prints each advertisement. A script for MicroPython."""

import json
import sys
from binascii import hexlify, unhexlify

from tagwire.beacon import advertisement, seal_beacon
from tagwire.fields import Reading, encode_body
from tagwire.keys import beacon_key
from tagwire.seal import aes128

with open(sys.argv[1]) as file:
    cases = json.load(file)
for root_key, tag_id, counter, reading in cases:
    encrypt = aes128(beacon_key(unhexlify(root_key), counter >> 24))
    frame = seal_beacon(encrypt, tag_id, counter, encode_body(Reading(*reading)))
    print(hexlify(advertisement(0xFFFF, frame)).decode())
