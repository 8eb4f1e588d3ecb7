"""The portable code reads the vectors under every interpreter, and the vectors are what the specification makes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import portable_session_vectors
import portable_vectors
import pytest
from vector_files import FOLDER, load

import make_vectors
from vector_cases.beacons import beacon_case
from vector_cases.bodies import body_case

PROTOCOL = FOLDER.parent
GROUPS = {name: [group for group in load(name) if group != "about"] for name in portable_vectors.CHECKS}
NPM_PACKAGE = "@micropython/micropython-webassembly-pyscript@1.27.0"
MICROPYTHON_32 = PROTOCOL.parent / "build/node/node_modules" / NPM_PACKAGE.rpartition("@")[0] / "micropython.mjs"
PORTABLE = ("errors", "fields", "seal", "keys", "counter", "beacon", "alarm", "service", "provision")


@pytest.mark.parametrize("name", portable_vectors.CHECKS)
def test_vectors_under_cpython(name: str) -> None:
    assert portable_vectors.CHECKS[name](load(name)) > 0


def test_vectors_under_micropython(micropython: Callable[..., str]) -> None:
    script = str(Path(portable_vectors.__file__))
    taken = dict(line.split() for line in micropython(script, str(FOLDER)).splitlines())
    assert taken == {name: str(check(load(name))) for name, check in portable_vectors.CHECKS.items()}


def test_random_readings_under_micropython(micropython: Callable[..., str], tmp_path: Path) -> None:
    """Beyond the vectors: 400 readings in and far out of range, and beacons of random keys and counters."""
    random = Random(20_261_123)

    def reading() -> dict[str, int | None]:
        values = {
            "latitude": random.choice([random.randint(-900_000_000, 900_000_000), 10**10, -(10**10)]),
            "longitude": random.choice([random.randint(-1_800_000_000, 1_800_000_000), 10**11, -(10**11)]),
            "temperature": random.choice([random.randint(-80_000, 124_600), None, 10**9, -(10**9)]),
            "humidity": random.choice([random.randint(0, 100_000), None, -1, 10**9]),
            "battery": random.choice([random.randint(1_800, 4_200), None, 0, 10**9]),
            "fix": random.randint(0, 7),
            "motion": random.randint(0, 2),
            "time": random.choice([random.randint(0, 2**33), None]),
            "time_quality": random.randint(0, 3),
        }
        return {**values, "latitude": None, "longitude": None} if random.random() < 0.2 else values

    vectors: dict[str, dict[str, list[object]]] = {
        name: {group: [] for group in groups} for name, groups in GROUPS.items()
    }
    vectors["body"]["encode"] = [body_case(str(i), reading()) for i in range(400)]
    vectors["beacon"]["valid"] = [
        beacon_case(str(i), reading(), random.getrandbits(32), random.getrandbits(32), random.choice([0, 0x10, 0x50]))
        for i in range(100)
    ]
    for name, content in vectors.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        portable_vectors.CHECKS[name](content)
    out = micropython(str(Path(portable_vectors.__file__)), str(tmp_path))
    assert {"body 400", "beacon 100"} <= set(out.splitlines())


@pytest.mark.parametrize("checks", [portable_vectors, portable_session_vectors], ids=lambda checks: checks.__name__)
def test_vectors_under_32_bit_micropython(program: Callable[[str, str], str], checks: ModuleType) -> None:
    """Small ints of 31 bits, as on the chip: the unix port has 63."""
    node = program("node", "nodejs")
    if not MICROPYTHON_32.exists():
        pytest.skip(f"no 32-bit MicroPython: npm install --no-save --prefix build/node {NPM_PACKAGE}")
    runner = str(Path(__file__).with_name("micropython_32bit.mjs"))
    command = [node, runner, str(MICROPYTHON_32), str(PROTOCOL / "tagwire"), str(checks.__file__), str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    taken = dict(line.split() for line in done.stdout.splitlines())
    assert taken == {name: str(check(load(name))) for name, check in checks.CHECKS.items()}


@pytest.mark.parametrize("module", PORTABLE)
def test_module_imports_alone_within_a_small_heap(micropython: Callable[..., str], module: str) -> None:
    micropython("-X", "heapsize=100k", "-c", f"import tagwire.{module}")


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_vectors_are_what_the_specification_makes(name: str) -> None:
    text = make_vectors.written(make_vectors.FILES[name]()) + "\n"
    assert text == (FOLDER / name).read_text(encoding="utf-8"), "run: python protocol/make_vectors.py"
