"""Powers up a virtual board: what an ESP32's `_boot.py` does, then boot.py and main.py from its flash. MicroPython.

Arguments: the number of the inherited socket to the host.
"""

import binascii
import json
import os
import sys
import time  # noqa: F401

import bluetooth  # noqa: F401  (all of the board's modules, while the host's file system can still be seen)
import esp32  # noqa: F401
import flash
import hostlink
import machine
import onewire  # noqa: F401
import vfs
from hostlink import call
from ops import HELLO

board = json.loads(call(HELLO))
machine._reset_cause = board["reset_cause"]
machine._wake_reason = board["wake_reason"]
if board["virtual_time"]:
    hostlink.slept_us = 0
    hostlink.is_visited = board["is_visited"]
machine._unique_id = binascii.unhexlify(board["unique_id"])
volume = vfs.VfsLfs2(flash.Flash(board["flash"]))
vfs.umount("/")
vfs.mount(volume, "/")
os.chdir("/")
sys.path[:] = ["", "/lib"]
if board["frozen"]:
    vfs.mount(vfs.VfsPosix(board["frozen"]), "/frozen")
    sys.path.insert(0, "/frozen")
del board, volume

for name in ("boot.py", "main.py"):
    with open(name) as source:
        code = compile(source.read(), name, "exec")
    exec(code, {"__name__": "__main__"})
