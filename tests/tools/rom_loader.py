"""An ESP32 in download mode on a pseudo-terminal: its ROM loader, and the flasher stub that esptool uploads.

Serial protocol: Espressif, esptool documentation, "Serial Protocol". Every packet's length and checksum are checked;
the flash behaves as NOR flash does (erase sets bits by sectors, programming only clears them), so that a byte written
twice, out of order or beside an erased sector shows in the MD5 that esptool asks for.
"""

import contextlib
import hashlib
import os
import pty
import select
import struct
import threading
import time
import tty
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

SLIP_END, SLIP_ESC = b"\xc0", b"\xdb"
SECTOR_BYTES = 4096
FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA, SYNC, WRITE_REG, READ_REG = 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A
SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0F
FLASH_DEFL_BEGIN, FLASH_DEFL_DATA, FLASH_DEFL_END = 0x10, 0x11, 0x12
SPI_FLASH_MD5, GET_SECURITY_INFO = 0x13, 0x14
OK, INVALID_MESSAGE, FAILED, BAD_CRC = b"\0\0", b"\1\5", b"\1\6", b"\1\7"

SPI_USER_COMMAND = 1 << 18
READ_FLASH_ID = 0x9F
FLASH_MANUFACTURER = 0x5E
MAC = 0xA0B1C2D3E4F5

# What esptool reads to tell chips apart (their technical reference manuals; esptool's targets/).
MAGIC_REGISTER, MAGIC_ESP32 = 0x40001000, 0x00F01D83
ESP32_REGISTERS = {
    MAGIC_REGISTER: MAGIC_ESP32,
    0x3FF40014: 347,  # UART clock divider: 40 MHz at 115,200 baud
    0x3FF5A00C: 1 << 9 | 1 << 15,  # package D0WD, revision 1
}


class Kind(NamedTuple):
    """Where a chip has what esptool looks at. number: it tells by itself, None for one that has to be guessed."""

    number: int | None
    spi_base: int
    low_mac: int
    spi_usr2: int = 0x20
    spi_w0: int = 0x58


KINDS = {
    "esp32": Kind(None, 0x3FF42000, 0x3FF5A004, 0x24, 0x80),
    "esp32c3": Kind(5, 0x60002000, 0x60008844),
    "esp32s3": Kind(9, 0x60002000, 0x60007044),
    "esp32c6": Kind(13, 0x60003000, 0x600B0844),
}


class RomLoader:
    """A chip whose download mode answers on `.port` while the context is entered.

    pulled_after_bytes: after so many bytes from the host the cable is gone. wears_out_at: this flash address keeps one
    bit low. says: bytes it sends over and over instead of answering. pace_baud: it reads no faster than a UART would.
    """

    def __init__(
        self,
        chip: str = "esp32",
        flash_bytes: int = 4 << 20,
        *,
        pulled_after_bytes: int | None = None,
        wears_out_at: int | None = None,
        says: bytes | None = None,
        pace_baud: int | None = None,
        mac: int = MAC,
    ) -> None:
        self._kind = KINDS[chip]
        self.flash = bytearray(b"\x5a" * flash_bytes)  # as if another program had been there
        self.received_bytes = 0
        self.stub_runs = False
        self.erased_by_begin: list[tuple[int, int]] = []
        self._registers = dict(ESP32_REGISTERS) if self._kind.number is None else {}
        self._registers |= {self._kind.low_mac: mac & 0xFFFFFFFF, self._kind.low_mac + 4: mac >> 32}
        self._pulled_after_bytes = pulled_after_bytes
        self._wears_out_at = wears_out_at
        self._says = says
        self._pace_baud = pace_baud
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"rom loader {self.port}")
        self._offset = self._next_block = self._block_bytes = self._position = 0
        self._inflate = zlib.decompressobj()
        self._handlers: dict[int, Callable[[bytes], tuple[int, bytes]]] = {
            WRITE_REG: self._write_register,
            READ_REG: lambda body: (self._registers.get(struct.unpack("<I", body)[0], 0), OK),
            FLASH_BEGIN: self._begin,
            FLASH_DEFL_BEGIN: self._begin,
            FLASH_DATA: self._data,
            FLASH_DEFL_DATA: self._deflated_data,
            SPI_FLASH_MD5: self._md5,
            GET_SECURITY_INFO: self._security_info,
            **dict.fromkeys((FLASH_END, FLASH_DEFL_END, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE), self._accept),
            **dict.fromkeys((MEM_BEGIN, MEM_DATA, MEM_END), self._accept),
        }

    def __enter__(self) -> "RomLoader":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join()
        for descriptor in (self._slave, self._stop_read, self._stop_write):
            os.close(descriptor)
        self._unplug()

    # The line.

    def _run(self) -> None:
        frame: bytearray | None = None
        escaped = False
        while True:
            wait_s = 0.05 if self._says else None
            ready, _, _ = select.select([self._master, self._stop_read], [], [], wait_s)
            if self._stop_read in ready:
                return None
            if self._says:
                os.write(self._master, self._says)
            if self._master not in ready:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:  # nobody has the other side open
                time.sleep(0.01)
                continue
            self.received_bytes += len(data)
            if self._pulled_after_bytes is not None and self.received_bytes >= self._pulled_after_bytes:
                return self._unplug()
            if self._pace_baud:
                time.sleep(len(data) * 10 / self._pace_baud)
            if self._says is not None:
                continue
            for byte in data:
                if byte == SLIP_END[0]:
                    if frame:
                        self._answer(bytes(frame))
                        frame = None
                    else:
                        frame = bytearray()
                    escaped = False
                elif frame is not None:
                    if escaped:
                        frame.append({0xDC: 0xC0, 0xDD: 0xDB}[byte])
                    elif byte != SLIP_ESC[0]:
                        frame.append(byte)
                    escaped = not escaped and byte == SLIP_ESC[0]

    def _unplug(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._master)

    def _send(self, frame: bytes) -> None:
        os.write(self._master, SLIP_END + frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + SLIP_END)

    # Commands.

    def _answer(self, frame: bytes) -> None:
        direction, command, length, checksum = struct.unpack_from("<BBHI", frame)
        body = frame[8:]
        if direction != 0 or len(body) != length:
            return self._respond(command, 0, INVALID_MESSAGE)
        if command == SYNC:
            assert body == b"\x07\x07\x12\x20" + b"\x55" * 32
            for _ in range(8):
                self._respond(SYNC, 0 if self.stub_runs else 0x20120707, OK)
            return None
        if command in (FLASH_DATA, FLASH_DEFL_DATA, MEM_DATA) and checksum != _checksum(body[16:]):
            return self._respond(command, 0, BAD_CRC)
        handler = self._handlers.get(command)
        if handler is None or (command == GET_SECURITY_INFO and self._kind.number is None):
            return self._respond(command, 0, INVALID_MESSAGE)
        self._respond(command, *handler(body))
        if command == MEM_END and not self.stub_runs:
            self.stub_runs = True
            self._send(b"OHAI")
        return None

    def _respond(self, command: int, value: int, data: bytes) -> None:
        reserved = b"" if self.stub_runs else b"\0\0"  # the ROM's status has two more bytes than the stub's
        data += reserved
        self._send(struct.pack("<BBHI", 1, command, len(data), value) + data)

    def _accept(self, body: bytes) -> tuple[int, bytes]:
        return 0, OK

    def _write_register(self, body: bytes) -> tuple[int, bytes]:
        address, value, mask, _ = struct.unpack_from("<4I", body)
        self._registers[address] = (self._registers.get(address, 0) & ~mask) | (value & mask)
        base = self._kind.spi_base
        if address == base and value & SPI_USER_COMMAND:
            self._registers[base] = 0  # done at once
            if self._registers.get(base + self._kind.spi_usr2, 0) & 0xFF == READ_FLASH_ID:
                size_code = (len(self.flash) - 1).bit_length()
                self._registers[base + self._kind.spi_w0] = FLASH_MANUFACTURER | 0x40 << 8 | size_code << 16
        return 0, OK

    def _begin(self, body: bytes) -> tuple[int, bytes]:
        size, _, self._block_bytes, self._offset = struct.unpack_from("<4I", body)
        if size:
            end = self._offset + -(-size // SECTOR_BYTES) * SECTOR_BYTES
            if self._offset % SECTOR_BYTES or end > len(self.flash):
                return 0, FAILED
            self.flash[self._offset : end] = b"\xff" * (end - self._offset)
            self.erased_by_begin.append((self._offset, end))
        self._next_block, self._position = 0, self._offset
        self._inflate = zlib.decompressobj()
        return 0, OK

    def _block(self, body: bytes) -> bytes | None:
        length, number = struct.unpack_from("<II", body)
        if len(body) != 16 + length or number != self._next_block:
            return None
        self._next_block += 1
        return body[16:]

    def _data(self, body: bytes) -> tuple[int, bytes]:
        block = self._block(body)
        return 0, FAILED if block is None else self._program(block)

    def _deflated_data(self, body: bytes) -> tuple[int, bytes]:
        block = self._block(body)
        return 0, FAILED if block is None else self._program(self._inflate.decompress(block))

    def _program(self, data: bytes) -> bytes:
        start, end = self._position, self._position + len(data)
        if end > len(self.flash):
            return FAILED
        before = int.from_bytes(self.flash[start:end], "little")
        self.flash[start:end] = (before & int.from_bytes(data, "little")).to_bytes(len(data), "little")
        if self._wears_out_at is not None and start <= self._wears_out_at < end:
            self.flash[self._wears_out_at] &= ~1
        self._position = end
        return OK

    def _md5(self, body: bytes) -> tuple[int, bytes]:
        offset, size, _, _ = struct.unpack("<4I", body)
        digest = hashlib.md5(self.flash[offset : offset + size])
        return 0, (digest.digest() if self.stub_runs else digest.hexdigest().encode()) + OK

    def _security_info(self, body: bytes) -> tuple[int, bytes]:
        return 0, struct.pack("<IB7sII", 0, 0, bytes(7), self._kind.number, 3) + OK


def _checksum(data: bytes) -> int:
    value = 0xEF
    for byte in data:
        value ^= byte
    return value
