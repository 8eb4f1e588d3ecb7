"""How a program of this project starts: what goes wrong before its own code runs is one line, not a traceback."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

EXIT_NOT_INSTALLED = 1
EXIT_INTERRUPTED = 130  # as shells count Ctrl-C


@contextlib.contextmanager
def starting(program: str, extra: str) -> Iterator[None]:
    """Surrounds the imports of `program`, which take a second: its `__main__` must not have any beside this module.

    Ctrl-C ends the process at once. A package that is not installed does so as well, with the line that installs
    `extra`, the part of this distribution that the program belongs to. Afterwards Ctrl-C raises KeyboardInterrupt.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        # No exception: imports of extension modules swallow it or turn it into another.
        os.write(2, f"{program}: interrupted\n".encode())
        os._exit(EXIT_INTERRUPTED)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the caller wants it ignored
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", program, __package__):
            raise  # a mistake of ours
        print(f"{program}: {error.name} is not installed; pip install 'tagstack[{extra}]'", file=sys.stderr)
        sys.exit(EXIT_NOT_INSTALLED)
    if signal.getsignal(signal.SIGINT) is interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)
