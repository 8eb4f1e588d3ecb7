"""What this run of the interpreter is for: a wake's work, or the connectable window that a wake has asked for.

A window begins with a soft reset, because the two do not fit into the heap together, nor one behind the other: what has
been loaded leaves holes where it was.
"""

import gc
import sys

from machine import RTC, SOFT_RESET, reset_cause

from tag.state import decode_state


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
