"""What this run of the interpreter is for: a wake's work, or the connectable window that a wake has asked for.

A window begins with a soft reset, because the two do not fit into the heap together, nor one behind the other: what has
been loaded leaves holes where it was.
"""

import gc
import sys

# Before each import of a built-in that files may extend, MicroPython looks for six such files, with 72 reads of flash:
# some twenty times a wake. It takes what `sys.modules` has, and the built-in itself where there is no path.
_path = sys.path[:]
sys.path.clear()
try:
    for _name in ("binascii", "bluetooth", "collections", "cryptolib", "machine", "struct", "time"):
        if _name not in sys.modules:
            sys.modules[_name] = __import__(_name)
finally:
    sys.path.extend(_path)

from machine import RTC, SOFT_RESET, reset_cause  # noqa: E402

from tag.state import decode_state  # noqa: E402


def main() -> None:
    """Does not return: it ends in deep sleep, in a reset, or in the prompt after Ctrl-C."""
    # Collect early and often: modules that load amid garbage lie scattered, and then no room is in one piece.
    gc.threshold(2048)
    state = decode_state(RTC().memory()) if reset_cause() == SOFT_RESET else None
    if state is not None and state.window_ms:
        from tag.window import run

        run(state)
    else:
        gc.threshold(6144)  # a wake has room to spare, and pays for each collection with charge
        from tag.app import main as wake

        wake()


def unload(*names: str) -> None:
    """Give back the memory of modules that this run does not need again, or not now."""
    for name in names:
        if sys.modules.pop(name, None) is not None:
            package, _, last = name.rpartition(".")
            delattr(sys.modules[package], last)
