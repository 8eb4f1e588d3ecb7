"""What Linux can do to a stuck Bluetooth adapter: lift a soft block, and reset its USB device.

Written here because the library that does it (bluetooth-auto-recovery) brings a dependency under the GPL, needs a
raw management socket, and takes its own decisions about what follows what.
"""

import fcntl
import os
import struct
from pathlib import Path

from taghub.errors import RadioError

SYSFS = Path("/sys/class/bluetooth")
DEVICES = Path("/dev")

_RFKILL_EVENT = struct.Struct("<IBBBB")  # linux/rfkill.h, struct rfkill_event: idx, type, op, soft, hard
_RFKILL_TYPE_BLUETOOTH = 2
_RFKILL_OP_CHANGE = 2
_USBDEVFS_RESET = 0x5514  # linux/usbdevice_fs.h: _IO('U', 20)


def blocked(name: str) -> str:
    """How rfkill blocks an adapter such as "hci0": "", "soft" (by software), or "hard" (by a switch)."""
    for switch in sorted((SYSFS / name).glob("rfkill*")):
        if _read(switch / "hard") == "1":
            return "hard"
        if _read(switch / "soft") == "1":
            return "soft"
    return ""


def unblock(name: str) -> None:
    """Lift the soft block of an adapter. Raises RadioError where this user may not."""
    for switch in sorted((SYSFS / name).glob("rfkill*")):
        index = int(switch.name.removeprefix("rfkill"))
        event = _RFKILL_EVENT.pack(index, _RFKILL_TYPE_BLUETOOTH, _RFKILL_OP_CHANGE, 0, 0)
        try:
            with (DEVICES / "rfkill").open("wb", buffering=0) as file:
                file.write(event)
        except OSError as error:
            raise RadioError(f"{name} is blocked by rfkill ({error.strerror}); run: rfkill unblock bluetooth") from None


def reset_usb(name: str) -> None:
    """Reset the USB device of an adapter, as if it were unplugged for a moment; it may come back under another name.

    Raises RadioError when it is on no USB, or when this user may not.
    """
    path = usb_node(name)
    if path is None:
        raise RadioError(f"{name} is not on USB")
    try:
        file = os.open(path, os.O_WRONLY)
        try:
            fcntl.ioctl(file, _USBDEVFS_RESET, 0)
        finally:
            os.close(file)
    except OSError as error:
        raise RadioError(f"{name}: its USB device cannot be reset: {error.strerror}") from None


def usb_node(name: str) -> Path | None:
    """The device file of an adapter's USB device; None when it is on no USB."""
    device = (SYSFS / name / "device").resolve()
    node = next((folder for folder in (device, *device.parents) if (folder / "busnum").is_file()), None)
    if node is None:
        return None
    return DEVICES / f"bus/usb/{int(_read(node / 'busnum')):03d}/{int(_read(node / 'devnum')):03d}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
