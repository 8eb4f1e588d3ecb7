"""Works a journal on a real LittleFS, as a JSON file tells, and prints an answer a step. A script for MicroPython.

Its first line: {"flash": path, "blocks": n, "room_kb": n, "tag_id": n}; then a step a line: [name, argument, ...].
Erases and programs are counted, and power can fail in any of them.
"""

import json
import os
import sys
from binascii import unhexlify

import vfs

from tag.history import History
from tag.journal import Journal
from tag.pending import Pending, decode_pending, encode_pending, folder_of
from tag.room import read_settled
from tagwire.tagend import Hole

BLOCK_BYTES = 4096


class Flash:
    """left: operations until power fails in one, None: never. What comes after that is not done."""

    def __init__(self, path, blocks):
        with open(path, "wb") as file:
            for _ in range(blocks):
                file.write(b"\xff" * BLOCK_BYTES)
        self._file = open(path, "r+b")
        self._blocks = blocks
        self._erased = b"\xff" * BLOCK_BYTES
        self.erases = self.programs = self.programmed = 0
        self.left = None
        self.share = 0

    def is_dead(self):
        return self.left is not None and self.left < 0

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self.programs += 1
        self.programmed += len(buffer)
        self._operate(block * BLOCK_BYTES + offset, buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self.erases += 1
            self._operate(argument * BLOCK_BYTES, self._erased)
        return 0

    def _operate(self, start, data):
        length = len(data)
        if self.left is not None:
            if self.is_dead():
                return
            if self.left == 0:
                length = int(length * self.share)
            self.left -= 1
        self._file.seek(start)
        self._file.write(memoryview(data)[:length])
        self._file.flush()


class Bench:
    def __init__(self, task):
        self.flash = Flash(task["flash"], task["blocks"])
        vfs.VfsLfs2.mkfs(self.flash)
        self.flash.erases = self.flash.programs = self.flash.programmed = 0
        self.tag_id = task["tag_id"]
        self.room_kb = task["room_kb"]
        self.next_counter = 0
        self.pending = Pending()
        vfs.umount("/")  # the host's files: what is needed of them is loaded
        self._mount()

    def _mount(self):
        vfs.mount(vfs.VfsLfs2(self.flash), "/")

    def _journal(self):
        return Journal(self.tag_id, self.pending, self.room_kb)

    def sample(self, counter, body, time_4s, alarm):
        if not self.pending.takes(counter):
            self.write()
        self.pending.add(counter, unhexlify(body), time_4s, alarm)
        self.next_counter = counter + 1
        if self.pending.is_due():
            self.write()

    def samples(self, first, count):
        """Samples of nothing but their counters."""
        for counter in range(first, first + count):
            self.sample(counter, "%022x" % (counter % 1024), 0, False)

    def write(self):
        self._journal().write()

    def write_and_reset(self):
        """A reset after the write, before RTC memory knows of it."""
        before = encode_pending(self.pending)
        self._journal().write()
        self.pending = decode_pending(before)

    def reset(self):
        self.pending = decode_pending(encode_pending(self.pending) + b"rest")

    def power(self):
        vfs.umount("/")
        self.flash.left = None
        self.pending = Pending()
        self._mount()

    def cut(self, left, share):
        """Power fails in the flash operation after `left` more."""
        self.flash.left = left
        self.flash.share = share

    def settle(self, ranges):
        return History(self._journal(), self.next_counter).settle([tuple(pair) for pair in ranges])

    def read(self, ranges):
        for item in History(self._journal(), self.next_counter).read([tuple(pair) for pair in ranges]):
            values = [item.first, item.last, item.gone] if isinstance(item, Hole) else list(item)
            print(json.dumps(values), end="\t")

    def counters(self):
        """As ranges: thousands of integers have no room in a tag's heap."""
        ranges: "list[list[int]]" = []
        for item in History(self._journal(), self.next_counter).read([(0, 0xFFFFFFFF)]):
            if not isinstance(item, Hole):
                if ranges and ranges[-1][1] + 1 == item.counter:
                    ranges[-1][1] += 1
                else:
                    ranges.append([item.counter, item.counter])
        return ranges

    def state(self):
        history = History(self._journal(), self.next_counter)
        settled = read_settled(self._journal().folder)
        return [history.newest(), history.unsettled(), settled.lost, self.pending.dropped]

    def figures(self):
        return [self.flash.erases, self.flash.programmed, self.flash.programs]

    def identity(self, tag_id):
        self.tag_id = tag_id
        self.pending = Pending()

    def files(self):
        return [[entry[0], entry[-1]] for entry in os.ilistdir(folder_of(self.tag_id))]  # type: ignore[attr-defined]

    def folders(self):
        return sorted(entry[0] for entry in os.ilistdir("/"))  # type: ignore[attr-defined]

    def damage(self, base, at):
        path = "%s/%08x" % (folder_of(self.tag_id), base)
        with open(path, "rb") as file:
            data = bytearray(file.read())
        data[at] ^= 1
        with open(path, "wb") as file:
            file.write(data)

    def fill(self):
        """Another file takes all room that is left."""
        try:
            for number in range(1000):
                with open("/other-%d" % number, "wb") as file:
                    file.write(bytes(1024))
        except OSError:
            pass


# Line by line, both ways: a tag's heap has no room for more.
with open(sys.argv[1]) as lines:
    bench = Bench(json.loads(lines.readline()))
    for line in lines:
        step = json.loads(line)
        answer = None
        if step[0] == "power" or not bench.flash.is_dead():
            try:
                answer = getattr(bench, step[0])(*step[1:])
            except OSError:
                if not bench.flash.is_dead():
                    raise
        print(json.dumps(answer))
