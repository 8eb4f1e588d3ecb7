"""An adapter of the kernel's whose controller is somewhere else: HCI over TCP, put through to /dev/vhci.

A program of its own, `vhci.py HOST PORT`, since the kernel waits two seconds for an answer, and a test that imports
something on an emulated processor takes longer. It needs nothing but the standard library. SIGUSR1: say nothing of what
is heard any more, SIGUSR2: again. linux/drivers/bluetooth/hci_vhci.c.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys

_VENDOR_PACKET = 0xFF  # of hci_vhci itself: asks for an adapter, and tells its number
_REPORT = bytes((0x04, 0x3E))  # an LE event; its subevent follows the length
_REPORT_SUBEVENT = 0x02
_LENGTH_AT = {0x01: (3, 1), 0x02: (3, 2), 0x03: (3, 1), 0x04: (2, 1)}
"""Packet type to where its length stands, and in how many bytes (Core Specification, Vol 4, Part E, 5.4)."""


class VirtualController:
    """One adapter, from `plug` to `pull`."""

    def __init__(self, host: str, port: int) -> None:
        self._command = [sys.executable, "-I", "-S", __file__, host, str(port)]
        self._process: subprocess.Popen[bytes] | None = None

    def plug(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"plugged\n"

    def pull(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def set_deaf(self, deaf: bool) -> None:
        """Whether it keeps to itself what it hears, and answers commands as before."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1 if deaf else signal.SIGUSR2)


def _main(host: str, port: int) -> None:
    deaf: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda *_: deaf.append(True))
    signal.signal(signal.SIGUSR2, lambda *_: deaf.clear())
    controller = socket.create_connection((host, port))
    controller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kernel = os.open("/dev/vhci", os.O_RDWR)
    os.write(kernel, bytes((_VENDOR_PACKET, 0)))
    print("plugged", flush=True)
    rest = b""
    while True:
        ready, _, _ = select.select([controller, kernel], [], [])
        if kernel in ready:
            packet = os.read(kernel, 4096)
            if packet[0] != _VENDOR_PACKET:
                controller.sendall(packet)
        if controller in ready:
            data = controller.recv(65536)
            if not data:
                return
            rest += data
            while (size := _size(rest)) and len(rest) >= size:
                packet, rest = rest[:size], rest[size:]
                heard = packet[:2] == _REPORT and packet[3] == _REPORT_SUBEVENT
                if not (heard and deaf):
                    with contextlib.suppress(OSError):  # ENXIO: the adapter has just been switched off
                        os.write(kernel, packet)


def _size(data: bytes) -> int:
    """Of the packet that begins here; 0 while too little of it is there."""
    if not data:
        return 0
    at, size = _LENGTH_AT[data[0]]
    return at + size + int.from_bytes(data[at : at + size], "little") if len(data) >= at + size else 0


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
