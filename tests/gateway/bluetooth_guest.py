"""What runs in the virtual machine of `bluetooth_machine`: HCI put through to the kernel, D-Bus to whoever is outside.

bluetooth_guest.py HOST PORT: connects there, takes one command a line, and answers each with a line. Nothing but the
standard library, and little of it: an emulated processor takes its time to import. linux/drivers/bluetooth/hci_vhci.c.
"""

import contextlib
import importlib.util
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from types import ModuleType

BUS_PORT = 7000
BUS = "/run/dbus/system_bus_socket"
BLUETOOTHD = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd")
GATEWAY, PROTOCOL = (os.path.abspath(f"{os.path.dirname(__file__)}/../../{part}") for part in ("gateway", "protocol"))

_VENDOR_PACKET = 0xFF  # of hci_vhci itself: asks for an adapter, and tells its number
_REPORT = bytes((0x04, 0x3E))  # an LE event; its subevent follows the length
_REPORT_SUBEVENT = 0x02
_LENGTH_AT = {0x01: (3, 1), 0x02: (3, 2), 0x03: (3, 1), 0x04: (2, 1)}
"""Packet type to where its length stands, and in how many bytes (Core Specification, Vol 4, Part E, 5.4)."""
_SET_ALL_BLUETOOTH = bytes((0, 0, 0, 0, 2, 3))
"""linux/rfkill.h: index, type 2, operation 3 for all of them; soft and hard follow."""


class Guest:
    """The commands. Each returns its answer."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._controllers: dict[str, int] = {}  # number to the process that carries it
        self._bluetoothd = 0

    def plug(self, number: str, port: str) -> str:
        """An adapter of the kernel's, whose controller is at this port outside. The kernel goes on by itself."""
        controller = _connected(self._host, int(port))
        kernel = os.open("/dev/vhci", os.O_RDWR)
        os.write(kernel, bytes((_VENDOR_PACKET, 0)))
        self._controllers[number] = _fork(lambda: _carry_hci(controller, kernel))
        os.close(kernel)
        controller.close()
        return ""

    def pull(self, number: str) -> str:
        _kill(self._controllers.pop(number, 0))
        return ""

    def deaf(self, number: str) -> str:
        """It keeps to itself what it hears from now on, and answers commands as before."""
        os.kill(self._controllers[number], signal.SIGUSR1)
        return ""

    def hearing(self, number: str) -> str:
        os.kill(self._controllers[number], signal.SIGUSR2)
        return ""

    def start(self, *options: str) -> str:
        """bluetoothd."""
        path = next(path for path in BLUETOOTHD if os.access(path, os.X_OK))
        self._bluetoothd = os.posix_spawn(path, [path, "--nodetach", *options], os.environ)
        return ""

    def kill(self) -> str:
        """bluetoothd, without a word to it."""
        _kill(self._bluetoothd)
        self._bluetoothd = 0
        return ""

    def block(self) -> str:
        """Every Bluetooth adapter by software, as rfkill(8) does, and those that come."""
        return self._set_blocked(1)

    def free(self) -> str:
        return self._set_blocked(0)

    def _set_blocked(self, soft: int) -> str:
        with open("/dev/rfkill", "wb", buffering=0) as file:
            file.write(_SET_ALL_BLUETOOTH + bytes((soft, 0)))
        return ""

    def blocked(self, name: str) -> str:
        return str(adapter_reset().blocked(name))

    def unblock(self, name: str) -> str:
        adapter_reset().unblock(name)
        return ""


def adapter_reset() -> ModuleType:
    """The gateway's, alone: the package around it brings bleak."""
    sys.path[:0] = [GATEWAY, PROTOCOL]
    spec = importlib.util.spec_from_file_location("adapter_reset", f"{GATEWAY}/taghub/radio/adapter_reset.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _connected(host: str, port: int) -> socket.socket:
    connection = socket.socket()
    connection.connect((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _fork(work: Callable[[], None]) -> int:
    """A process that does this and ends; its number."""
    number = os.fork()
    if number == 0:
        with contextlib.suppress(OSError):  # the other side is gone
            work()
        os._exit(0)
    return number


def _kill(process: int) -> None:
    if process:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _carry_hci(controller: socket.socket, kernel: int) -> None:
    deaf: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda *_: deaf.append(True))
    signal.signal(signal.SIGUSR2, lambda *_: deaf.clear())
    rest = b""
    while True:
        ready, _, _ = select.select([controller.fileno(), kernel], [], [])
        if kernel in ready:
            packet = os.read(kernel, 4096)
            if packet[0] != _VENDOR_PACKET:
                controller.sendall(packet)
        if controller.fileno() in ready:
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


def _carry_bus(server: socket.socket) -> None:
    """Each connection becomes one to the system bus. File descriptors do not pass, and bleak asks for none."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        outside, _ = server.accept()
        outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _fork(lambda outside=outside: _join(outside))  # type: ignore[misc]
        outside.close()


def _join(outside: socket.socket) -> None:
    bus = socket.socket(socket.AF_UNIX)
    bus.connect(BUS)
    while True:
        for ready in select.select([outside, bus], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (bus if ready is outside else outside).sendall(data)


def _main(host: str, port: int) -> None:
    server = socket.create_server(("", BUS_PORT))
    _fork(lambda: _carry_bus(server))
    server.close()
    commands = _connected(host, port)
    guest = Guest(host)
    with commands.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            word, *arguments = line.split()
            try:
                answer = "ok " + getattr(guest, word)(*arguments)
            except Exception as error:
                answer = f"error {error!r}"
            lines.write(f"{answer}\n")
            lines.flush()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
