"""What went wrong, for whoever asks later: a text file of at most 2 KB, the latest lines. I/O.

Hubs read it in a proven session (SPEC.md, "Log"), a bench at the serial port. An entry is written when it happens, so
it costs an erase: for crashes, steps of the clock, commands, not for what happens every wake.
"""

import os

LOG_FILE = "log"
LOG_BYTES_MAX = 2048
ENTRY_BYTES_MAX = 1024


def log(text: str) -> None:
    """Append an entry; when the file is full, its older half goes. Never raises: no log shall break a tag."""
    print(text)
    try:
        entry = text.encode()[:ENTRY_BYTES_MAX] + b"\n"
        if _size() + len(entry) > LOG_BYTES_MAX:
            kept = read_log(_size() - LOG_BYTES_MAX // 2, LOG_BYTES_MAX // 2)
            with open(LOG_FILE + ".new", "wb") as file:
                file.write(memoryview(kept)[kept.find(b"\n") + 1 :])
                file.write(entry)
            os.rename(LOG_FILE + ".new", LOG_FILE)
        else:
            with open(LOG_FILE, "ab") as file:
                file.write(entry)
    except OSError as error:
        print("log: %r" % error)


def read_log(offset: int, size: int) -> bytes:
    """Up to `size` bytes of it; none at its end, or where there is no log. May raise OSError."""
    if offset >= _size():
        return b""
    with open(LOG_FILE, "rb") as file:
        file.seek(offset)
        return file.read(size)


def _size() -> int:
    try:
        return int(os.stat(LOG_FILE)[6])
    except OSError:
        return 0
