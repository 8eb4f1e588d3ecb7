"""Which pin of a board leads where: as the firmware's own board file says, which is what a person wires by."""

import functools
import runpy
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from tagsmith.manifest import tag_sources

DEFAULT_BOARD = "esp32-devkit"


@functools.cache
def wiring(board: str) -> Any:
    """The GPIO numbers of a board as attributes; those of an ESP32-DevKitC for one that the firmware does not know."""
    sources = tag_sources()
    path = sources.get(f"tag/boards/{board.replace('-', '_')}.py")
    if path is None:
        return wiring(DEFAULT_BOARD)
    stand_in = ModuleType("tag.boards")
    stand_in.Board = SimpleNamespace  # type: ignore[attr-defined]
    hidden = {name: sys.modules.get(name) for name in ("tag", "tag.boards")}
    try:
        sys.modules.update({"tag": ModuleType("tag"), "tag.boards": stand_in})
        return runpy.run_path(str(path))["BOARD"]
    finally:
        for name, module in hidden.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
