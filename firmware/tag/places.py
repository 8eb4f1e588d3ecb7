"""The two persistent places of the counter's limit: a file, and the chip's NVS."""

import os

from esp32 import NVS

from tag.faults import STORAGE, CounterLost
from tagwire.errors import DecodeError
from tagwire.provision import COUNTER_FILE, decode_counter, encode_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NVS_NAMESPACE = "tagstack"
NVS_KEY = "counter"


def read_limits() -> "list[int | None]":
    """The limit in each place; None where it is missing or damaged."""
    return [_read(read) for _, _, read, _ in _PLACES]


def write_limit(limit: int) -> "list[str]":
    """Write the limit to both places, durably. One complaint for a place that failed; its old limit is then cleared.

    An old limit must not stay behind: were the other place lost later, the tag would start again from there. Raises
    CounterLost, and counters up to `limit` must not be used, when no place took it (the old limits stay and are still
    true) or when one could be neither written nor cleared.
    """
    data = encode_counter(limit)
    complaints = []
    failed = []
    for name, write, read, clear in _PLACES:
        try:
            write(data)
        except OSError as error:
            complaints.append("counter %s: %r" % (name, error))
            failed.append((name, read, clear))
    if len(failed) == len(_PLACES):
        raise CounterLost("counter cannot be written to any place: %s" % complaints, STORAGE)
    for name, read, clear in failed:
        try:
            clear()
        except OSError:
            pass  # there may have been nothing to clear
        if _read(read) is not None:
            raise CounterLost("counter %s can be neither written nor cleared" % name, STORAGE)
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


def _clear_file() -> None:
    os.remove(COUNTER_FILE)


def _read_nvs() -> bytes:
    data = bytearray(16)
    size = NVS(NVS_NAMESPACE).get_blob(NVS_KEY, data)
    return bytes(data[:size])


def _write_nvs(data: bytes) -> None:
    nvs = NVS(NVS_NAMESPACE)
    nvs.set_blob(NVS_KEY, data)
    nvs.commit()


def _clear_nvs() -> None:
    nvs = NVS(NVS_NAMESPACE)
    nvs.erase_key(NVS_KEY)
    nvs.commit()


_PLACES = (("file", _write_file, _read_file, _clear_file), ("NVS", _write_nvs, _read_nvs, _clear_nvs))
