"""The folder of a run: its user's, for one run at a time, or a temporary one."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class FolderUnusable(Exception):
    """A run's folder cannot be made, or another run is using it."""


def last_folder() -> Path:
    """Where the last run that was given no folder is kept: below XDG_STATE_HOME, for `tagfleet explain`."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "tagfleet" / "last"


@contextlib.contextmanager
def run_folder(chosen: Path | None) -> Iterator[Path]:
    """`chosen`, made where it does not exist, or a temporary one that goes with the context. Raises FolderUnusable.

    Two runs in one folder would write the same flash images, trace and settings.
    """
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="tagfleet-") as temporary:
            yield Path(temporary)
        return
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(chosen, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FolderUnusable(f"cannot use the folder {chosen}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel ends it with the process
        except OSError:
            raise FolderUnusable(f"another run is using the folder {chosen}") from None
        yield chosen
    finally:
        os.close(descriptor)
