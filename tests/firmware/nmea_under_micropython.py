"""Prints what the NMEA reader makes of the files given, whole and byte by byte. A script for MicroPython."""

import sys

from tag.sensors.nmea import NmeaReader

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = file.read().replace(b"\n", b"\r\n")
    whole = NmeaReader().feed(data)
    reader = NmeaReader()
    single = []
    for byte in data:
        single += reader.feed(bytes([byte]))
    assert whole == single
    for fix in whole:
        print(*fix)
