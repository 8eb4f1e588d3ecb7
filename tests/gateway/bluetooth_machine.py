"""Real BlueZ and the kernel's real Bluetooth in a virtual machine, for tests that stay outside.

Emulated are the kernel, its D-Bus and bluetoothd; the hub, the tags and the controllers' own side are not. Bleak talks
to that D-Bus over TCP, and HCI goes to virtual controllers outside the same way (`bluetooth_guest`). It needs no KVM.
"""

import contextlib
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType

import qemu
from bluetooth_guest import BLUETOOTHD, BUS, BUS_PORT
from initramfs import Initramfs

HOST = "10.0.2.2"  # of qemu's user network: this machine's loopback
BOOT_S = 180.0
ANSWER_S = 60.0
CONSOLE_LINES = 300
FOLDER = Path(__file__).parent
# Beside the kernel's Bluetooth ciphers, which it would load by itself if it had a modprobe.
_MODULES = ("virtio_pci", "virtio_net", "ecb", "cmac", "algif_hash", "algif_skcipher", "hci_vhci")
_SCRIPT = """
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
dbus-daemon --config-file=/etc/bus.conf --fork
{guest} "$@"
"""
_BUS_CONFIGURATION = f"""<busconfig><type>system</type><listen>unix:path={BUS}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>"""


class BluetoothMachine:
    """Boots when it is entered, in 10 to 20 s. `environment` is what a process has to have that is to use its BlueZ."""

    def __init__(self, folder: Path, bus_port: int) -> None:
        """folder: an existing one. bus_port: a free one of the loopback."""
        self._image = folder / "initramfs"
        self._bus_port = bus_port
        self.environment = {
            "DBUS_SYSTEM_BUS_ADDRESS": f"tcp:host=127.0.0.1,port={bus_port}",
            "BLEAK_DBUS_AUTH_UID": "0",  # whom it takes its callers for
        }
        self._console: deque[str] = deque(maxlen=CONSOLE_LINES)
        self._stack = contextlib.ExitStack()

    @staticmethod
    def missing() -> str:
        """The line that installs what is not there; empty when all of it is."""
        if not (qemu.program("dbus-daemon") and _bluetoothd()):
            return "apt-get install bluez dbus"
        return qemu.missing()

    def __enter__(self) -> "BluetoothMachine":
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            _make_image(self._image)
            network = f"user,id=host,hostfwd=tcp:127.0.0.1:{self._bus_port}-:{BUS_PORT}"
            options = ["-netdev", network, "-device", "virtio-net-pci,netdev=host,romfile="]
            machine = qemu.start(self._image, options, [HOST, str(server.getsockname()[1])])
            stack.callback(qemu.end, machine)
            threading.Thread(target=self._read_console, args=(machine,), daemon=True).start()
            self._commands = stack.enter_context(self._accepted(server, machine))
            self._commands.settimeout(ANSWER_S)
            self._lines = stack.enter_context(self._commands.makefile("rw", encoding="utf-8"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _read_console(self, machine: qemu.Machine) -> None:
        assert machine.stdout is not None
        for line in machine.stdout:
            self._console.append(line.rstrip())

    def _accepted(self, server: socket.socket, machine: qemu.Machine) -> socket.socket:
        """The machine's connection, once it is up."""
        server.settimeout(1.0)
        end_s = time.monotonic() + BOOT_S
        while time.monotonic() < end_s and machine.poll() is None:
            with contextlib.suppress(TimeoutError):
                return server.accept()[0]
        raise RuntimeError(f"the machine does not come up\n{self.log()}")

    def do(self, word: str, *arguments: object) -> str:
        """One command of `bluetooth_guest.Guest`; what it returned."""
        self._lines.write(" ".join(map(str, (word, *arguments))) + "\n")
        self._lines.flush()
        status, _, answer = self._lines.readline().rstrip("\n").partition(" ")
        if status != "ok":
            raise RuntimeError(f"{word}: {answer or 'the machine is gone'}\n{self.log()}")
        return answer

    def log(self) -> str:
        """For people: the end of the machine's console, where bluetoothd writes too."""
        return "\n".join(("console of the virtual machine:", *self._console))


def _bluetoothd() -> str | None:
    return next((path for path in BLUETOOTHD if os.access(path, os.X_OK)), None)


def _make_image(path: Path) -> None:
    image = Initramfs()
    bus_daemon, daemon = qemu.program("dbus-daemon"), _bluetoothd()
    assert bus_daemon is not None
    assert daemon is not None
    image.copy_program(bus_daemon)
    image.add("/bin/dbus-daemon", Path(bus_daemon).read_bytes(), 0o755)
    image.copy_program(daemon)
    code = f"sys.path.insert(0, {str(FOLDER)!r}); import bluetooth_guest as guest; guest.adapter_reset()"
    command = [*image.copy_python(code), str(FOLDER / "bluetooth_guest.py")]
    for folder in ("/run/dbus", "/var/lib/bluetooth"):
        image.add_folder(folder)
    image.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    image.add("/etc/group", b"root:x:0:\n")
    image.add("/etc/bluetooth/main.conf", b"[Policy]\nAutoEnable=true\n")  # as Debian's
    image.add("/etc/bus.conf", _BUS_CONFIGURATION.encode())
    qemu.pack(image, path, _MODULES, _SCRIPT.format(guest=qemu.quoted(command)))
