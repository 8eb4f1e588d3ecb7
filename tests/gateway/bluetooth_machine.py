"""Real BlueZ and the kernel's real Bluetooth in a virtual machine, for tests that stay outside.

Emulated are the kernel, its D-Bus and bluetoothd; the hub, the tags and the controllers' own side are not. Bleak talks
to that D-Bus over TCP, and HCI goes to virtual controllers outside the same way (`bluetooth_guest`). It needs no KVM.
"""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType

import qemu
from bluetooth_guest import BLUETOOTHD, BUS, BUS_PORT
from initramfs import Initramfs

HOST = "10.0.2.2"  # of qemu's user network: this machine's loopback
MEMORY = "400M"
BOOT_S = 180.0
ANSWER_S = 60.0
CONSOLE_LINES = 300
FOLDER = Path(__file__).parent
INSTALL = (
    "apt-get install qemu-system-x86 busybox-static bluez dbus and, in build/linux, "
    "apt-get download linux-image-... (see .ci/run)"
)
# Ciphers, and the random numbers of ECDH: what the kernel would load by itself, if it had a modprobe.
_CIPHERS = ("sha512_generic", "drbg", "jitterentropy_rng", "ecb", "cmac", "algif_hash", "algif_skcipher")
_MODULES = ("virtio_pci", "virtio_net", *_CIPHERS, "hci_vhci")
_INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod $module; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
dbus-daemon --config-file=/etc/bus.conf --fork
exec {command}
"""
_BUS_CONFIGURATION = f"""<busconfig><type>system</type><listen>unix:path={BUS}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>"""
_KERNEL_ARGUMENTS = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on"


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
        programs = ("qemu-system-x86_64", "busybox", "dbus-daemon")
        found = all(qemu.program(name) for name in programs) and _bluetoothd() and qemu.kernel()
        return "" if found else INSTALL

    def __enter__(self) -> "BluetoothMachine":
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            _make_image(self._image, server.getsockname()[1])
            process = self._started()
            stack.callback(_end, process)
            self._commands = stack.enter_context(self._accepted(server, process))
            self._commands.settimeout(ANSWER_S)
            self._lines = stack.enter_context(self._commands.makefile("rw", encoding="utf-8"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _started(self) -> "subprocess.Popen[str]":
        network = f"user,id=host,hostfwd=tcp:127.0.0.1:{self._bus_port}-:{BUS_PORT}"
        command = [
            *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY),
            *("-kernel", str(qemu.kernel()), "-initrd", str(self._image), "-append", _KERNEL_ARGUMENTS),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=host,romfile="),
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read_console, args=(process,), daemon=True).start()
        return process

    def _read_console(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._console.append(line.rstrip())

    def _accepted(self, server: socket.socket, process: "subprocess.Popen[str]") -> socket.socket:
        """The machine's connection, once it is up."""
        server.settimeout(1.0)
        end_s = time.monotonic() + BOOT_S
        while time.monotonic() < end_s and process.poll() is None:
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


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def _make_image(path: Path, port: int) -> None:
    """port: where its guest program shall say that it is up."""
    image = Initramfs()
    for name, place in (("busybox", "/bin/busybox"), ("dbus-daemon", "/bin/dbus-daemon")):
        found = qemu.program(name)
        assert found is not None
        image.copy_program(found)
        image.add(place, Path(found).read_bytes(), 0o755)
    daemon = _bluetoothd()
    assert daemon is not None
    image.copy_program(daemon)
    code = f"sys.path.insert(0, {str(FOLDER)!r}); import bluetooth_guest as g; g.adapter_reset()"
    command = image.copy_python(code, str(FOLDER / "bluetooth_guest.py"), HOST, str(port))
    modules = image.copy_modules(qemu.KERNELS, _MODULES)
    for folder in ("/proc", "/sys", "/dev", "/tmp", "/run/dbus", "/var/lib/bluetooth"):
        image.add_folder(folder)
    image.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    image.add("/etc/group", b"root:x:0:\n")
    image.add("/etc/bluetooth/main.conf", b"[Policy]\nAutoEnable=true\n")  # as Debian's
    image.add("/etc/bus.conf", _BUS_CONFIGURATION.encode())
    image.add("/init", _INIT.format(modules=" ".join(modules), command=qemu.quoted(command)).encode(), 0o755)
    image.pack(path)
