"""The two persistent places of the counter's limit: a file, and the chip's NVS."""

import os

from esp32 import NVS

from tagwire.errors import DecodeError
from tagwire.provision import COUNTER_FILE, decode_counter, encode_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NVS_NAMESPACE = "tagstack"
NVS_KEY = "counter"


def read_limits() -> "list[int | None]":
    """The limit in each place; None where it is missing or damaged."""
    return [_read(_read_file), _read(_read_nvs)]


def write_limit(limit: int) -> "list[str]":
    """Write the limit to both places, durably. One complaint for each place that failed.

    When both fail, the limit is not written and counters up to it must not be used.
    """
    data = encode_counter(limit)
    complaints = []
    for name, write in (("file", _write_file), ("NVS", _write_nvs)):
        try:
            write(data)
        except OSError as error:
            complaints.append("counter %s: %r" % (name, error))
    return complaints


def _read(read: "Callable[[], bytes]") -> "int | None":
    try:
        return decode_counter(read())
    except (OSError, DecodeError):
        return None


def _read_file() -> bytes:
    with open(COUNTER_FILE, "rb") as file:
        return file.read()


def _write_file(data: bytes) -> None:
    """Rename is atomic on LittleFS: the file holds the old limit or the new one at every instant."""
    with open(COUNTER_FILE + ".new", "wb") as file:
        file.write(data)
    os.rename(COUNTER_FILE + ".new", COUNTER_FILE)


def _read_nvs() -> bytes:
    data = bytearray(16)
    size = NVS(NVS_NAMESPACE).get_blob(NVS_KEY, data)
    return bytes(data[:size])


def _write_nvs(data: bytes) -> None:
    nvs = NVS(NVS_NAMESPACE)
    nvs.set_blob(NVS_KEY, data)
    nvs.commit()
