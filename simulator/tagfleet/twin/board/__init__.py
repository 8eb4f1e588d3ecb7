"""The virtual board as the tag sees it: MicroPython modules with the names of an ESP32's.

The interpreter finds them by MICROPYPATH, as `machine`, `bluetooth` and so on; the host imports `ops` alone.
"""
