"""A board fresh from its bag: in download mode until esptool has written it, then it runs what was written."""

import contextlib
import os
from pathlib import Path

from bench_board import BenchBoard
from esp_files import FILE_SYSTEM_OFFSET
from rom_loader import RomLoader


class BareBoard:
    """A chip on `port`: an emulated ROM loader, and after `boot` the real interpreter on the flash that it was given.

    On a desk the reset line does the switching; here whoever drives the board calls `boot`. baud paces both. Use as a
    context manager.
    """

    def __init__(self, folder: Path, number: int, baud: int | None = None) -> None:
        self.port = str(folder / f"tty{number}")
        self._folder = folder
        self._number = number
        self._baud = baud
        self._loader = RomLoader(pace_baud=baud, mac=0x0200 << 32 | number)
        self._stack = contextlib.ExitStack()
        self.running: BenchBoard | None = None

    def __enter__(self) -> "BareBoard":
        self._stack.enter_context(self._loader)
        os.symlink(self._loader.port, self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def boot(self) -> BenchBoard:
        """The board leaves download mode, once; it runs from then on."""
        if self.running is None:
            image = bytes(self._loader.flash[FILE_SYSTEM_OFFSET:])
            self.running = self._stack.enter_context(BenchBoard(self._folder, self._number, image, self._baud))
        return self.running
