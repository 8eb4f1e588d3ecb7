"""What a run writes to stdout or stderr, and what becomes of it when nobody can take it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class OutputLost(Exception):
    """What should be read cannot be written: a full disk, a reader that has gone; the text says which."""


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Surrounds writes. Raises OutputLost in place of OSError."""
    try:
        yield
    except OSError as error:
        raise OutputLost(f"cannot write the output: {error.strerror or error}") from None


def tell(text: str, stream: TextIO) -> None:
    """Write `text` and a line's end, at once. Raises OutputLost."""
    with writing():
        print(text, file=stream, flush=True)


def prepare() -> None:
    """Before anything is written: what a stream cannot encode, as in an ASCII locale, becomes a question mark, and a
    stream that is closed takes everything and shows nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (for the life of the process)
        getattr(sys, name).reconfigure(errors="replace")


def give_up(last_words: str) -> None:
    """A last line on stderr, if that takes it. What a stream still holds is thrown away: Python would try to write it
    at exit, and fail again."""
    with contextlib.suppress(OSError):
        print(last_words, file=sys.stderr, flush=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
