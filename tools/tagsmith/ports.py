"""Serial ports: which there are, and one user at a time."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import serial
from serial.tools import list_ports

from tagsmith.errors import PortError

# USB vendor and product ids of what development boards use.
KNOWN_BRIDGES = {
    (0x10C4, 0xEA60): "CP210x",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x55D4): "CH9102",
    (0x0403, 0x6001): "FT232R",
    (0x0403, 0x6010): "FT2232",
    (0x0403, 0x6015): "FT231X",
    (0x303A, 0x1001): "USB of the ESP32 itself",
}


class Port(NamedTuple):
    """device: what other commands take as PORT. bridge: the USB part if it is one of a development board."""

    device: str
    description: str
    bridge: str | None
    serial_number: str | None


def listed() -> list[Port]:
    """The serial ports of this machine, those of development boards first."""
    found = [
        Port(
            info.device,
            info.description or "",
            KNOWN_BRIDGES.get((info.vid, info.pid)) if info.vid is not None and info.pid is not None else None,
            info.serial_number,
        )
        for info in list_ports.comports()
    ]
    return sorted(found, key=lambda port: (port.bridge is None, port.device))


@contextmanager
def claimed(device: str) -> Iterator[None]:
    """Holds the port against other tagsmith commands while entered; other programs must not have it either.

    The port itself stays closed, so that esptool or mpremote can open it. Raises PortError, with the reason.
    """
    with _claim_file(device):
        _probe(device)
        yield


def _probe(device: str) -> None:
    """Opens and closes the port. RTS and DTR stay released: on a development board they reset the chip."""
    try:
        probe = serial.Serial(exclusive=True)
        probe.port = device
        probe.rts = probe.dtr = False
        probe.open()
        probe.close()
    except (OSError, ValueError) as error:
        raise _port_error(device, error) from None


def _port_error(device: str, error: Exception) -> PortError:
    said = str(error).lower()
    number = getattr(error, "errno", None)
    if number == 2 or "filenotfound" in said or "no such file" in said:
        return PortError(f"There is no serial port {device}.", "`tagsmith ports`; look at the cable and its driver")
    if number == 13 or "permission denied" in said:
        return PortError(
            f"You may not open {device}.",
            "add yourself to the group that owns it (Debian: `sudo usermod -aG dialout $USER`) and log in again"
            if sys.platform == "linux"
            else "close the program that has it open",
        )
    if number in (11, 16) or "lock" in said or "busy" in said or "access is denied" in said:
        return _in_use(device)
    return PortError(f"{device} cannot be opened: {error}.", "pull the cable, plug it in again, then `tagsmith ports`")


def _in_use(device: str) -> PortError:
    return PortError(f"{device} is in use by another program.", "close its terminal, monitor or flash program")


@contextmanager
def _claim_file(device: str) -> Iterator[None]:
    """A lock of our own, because the port's own lock must be free for the programs that we start."""
    if sys.platform == "win32":  # there a port opens only once, and _probe finds that
        yield
        return
    import fcntl

    name = hashlib.sha256(os.path.realpath(device).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"tagsmith-{os.getuid()}-{name}.lock"
    # Never removed: a lock file that is deleted while another waits for it locks nothing.
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise PortError(f"The lock {path} cannot be used: {error.strerror}.", "another TMPDIR, or delete it") from None
    with open(descriptor, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(device) from None
        yield
