"""The tag's firmware: its size on a tag, and what the journal costs flash."""

import ast
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tagwire.errors
from benchmarks.figure import Figure
from tagfleet.twin.interpreter import interpreter_available
from tagsmith.compile import compile_files
from tagsmith.manifest import firmware_folder, tag_files, tag_sources

REPOSITORY = Path(__file__).resolve().parents[1]
JOURNAL_SCRIPT = REPOSITORY / "tests/firmware/journal_under_micropython.py"
JOURNAL_SAMPLES = 8640  # 30 days at 5 minutes
SETTLED_EVERY = 288  # a hub settles once a day


# What runs load behind what they begin with; the rest follows from what these import. Of each kind the largest driver.
ALWAYS = ["boot.py", "main.py", "tag/app.py"]  # the last by `tag.begin`, in every wake
DRIVERS = ["tag/sensors/gnss.py", "tag/sensors/bme280.py", "tag/sensors/max31865.py"]
MEASURING = ["tag/measure.py", "tag/motion.py", *DRIVERS]
KEEPING = ["tag/alarms.py", "tagwire/alarm.py", "tag/counter.py", "tag/places.py", "tag/journal.py"]
ROOM = ["tag/room.py"]  # unloaded before the radio is on
IN_TROUBLE = ["tag/trouble.py"]
AT_POWER_ON = ["tag/counter.py", "tag/provisioning.py"]  # unloaded before the sensors are read
VISITED = ["tag/window.py", "tag/history.py", "tag/journal.py", "tag/orders.py", "tag/changes.py", "tag/settings.py"]


def loaded_with(*names: str) -> set[str]:
    """The files on a tag, as .py, that are loaded when these are: what their imports need. What a function imports is
    not among them."""
    sources = tag_sources()
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in sources and name not in found:
            found.add(name)
            waiting += _imported(ast.parse(sources[name].read_text()).body)
    return found


def _imported(statements: list[ast.stmt]) -> list[str]:
    names = []
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            path = statement.module.replace(".", "/")
            names += [f"{path}.py", f"{path}/__init__.py", *(f"{path}/{alias.name}.py" for alias in statement.names)]
            parents = path.split("/")[:-1]
            names += ["/".join(parents[: n + 1]) + "/__init__.py" for n in range(len(parents))]
        elif isinstance(statement, ast.Try):
            names += _imported(statement.body)
        elif isinstance(statement, ast.If):  # `if TYPE_CHECKING` is for the type checker alone
            names += _imported(statement.orelse)
    return names


class Bundle(NamedTuple):
    """Bytes of bytecode. resident: loaded by every wake. on_demand: the most that one wake loads on top, when all goes
    wrong that can. window: all that a run for hubs loads, which is another. all: of the bundle, every driver and board.
    """

    resident: int
    on_demand: int
    window: int
    all: int


def bundle() -> Bundle:
    """What is loaded when, in bytes, with the largest board."""
    sizes = {name.replace(".mpy", ".py"): len(content) for name, content in compile_files(tag_files()).items()}
    boards = {name for name in sizes if name.startswith("tag/boards/") and not name.endswith("__init__.py")}
    board = max(sizes[name] for name in boards)
    always = loaded_with(*ALWAYS)
    at_once = [
        loaded_with(*AT_POWER_ON),
        loaded_with(*MEASURING, *KEEPING, *ROOM),
        loaded_with(*MEASURING, *KEEPING, *IN_TROUBLE),
    ]
    return Bundle(
        sum(sizes[name] for name in always) + board,
        max(sum(sizes[name] for name in loaded - always) for loaded in at_once),
        sum(sizes[name] for name in loaded_with("boot.py", "main.py", *VISITED)) + board,
        sum(sizes.values()),
    )


def journal_costs(interpreter: str) -> tuple[float, float]:
    """Erases and programmed bytes a record, over 30 days at 5 minutes on an own LittleFS of 256 kB."""
    steps: list[list[object]] = []
    for first in range(0, JOURNAL_SAMPLES, SETTLED_EVERY):
        steps += [["samples", first, SETTLED_EVERY], ["settle", [[first, first + SETTLED_EVERY - 9]]]]
    steps.append(["figures"])
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder, "task")
        head = {"flash": f"{folder}/flash", "blocks": 64, "room_kb": 256, "tag_id": 7}
        task.write_text("".join(json.dumps(line) + "\n" for line in [head, *steps]))
        done = subprocess.run(
            [interpreter, "-X", "heapsize=160k", JOURNAL_SCRIPT, task],
            env={"MICROPYPATH": f"{firmware_folder()}:{Path(tagwire.errors.__file__).parents[1]}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    erases, programmed, _ = json.loads(done.stdout.splitlines()[-1])
    return erases / JOURNAL_SAMPLES, programmed / JOURNAL_SAMPLES


def figures(_runs: int) -> Iterator[Figure]:
    sizes = bundle()
    about = "bytecode that every wake loads, one board"
    yield Figure("bundle_resident_bytes", "B", "lower", 24_576, [sizes.resident], about)
    about = "the most that one wake loads on top: each kind of sensor, an alarm, a full journal, trouble"
    yield Figure("bundle_on_demand_bytes", "B", "lower", 24_576, [sizes.on_demand], about)
    about = "all that the run for hubs loads, in a heap of its own"
    yield Figure("bundle_window_bytes", "B", "lower", None, [sizes.window], about)
    about = "all bytecode on a tag, every driver and board: flash, not memory"
    yield Figure("bundle_bytes", "B", "lower", None, [sizes.all], about)
    if interpreter := interpreter_available():
        erases, programmed = journal_costs(interpreter)
        about = f"{JOURNAL_SAMPLES:,} samples of 16 bytes, settled once a day, LittleFS as MicroPython sets it up"
        yield Figure("journal_erases_per_record", "erases", "lower", 0.15, [erases], about)
        yield Figure("journal_bytes_per_record", "B", "lower", 300, [programmed], about)
