"""One hub to a spool file: two would number their commits alike, and each send what the other has. Blocking."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from taghub.spool.commit import StoreError


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other hubs off a spool file; the end of the process, however it ends, gives it free. Raises StoreError when
    another has it.

    The lock is on a file beside, for the spool file itself may be replaced. Where no lock can be had (Windows, some
    network drives, no room for the file) the hub goes on without: that it works comes first.
    """
    with contextlib.ExitStack() as stack:
        if sys.platform != "win32":
            import fcntl

            with contextlib.suppress(OSError):
                file = stack.enter_context(path.with_name(path.name + ".lock").open("ab"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StoreError(
                        f"{path}: another taghub that runs has it; stop that one, or name another file"
                    ) from None
        yield
