"""The first second of each program, in which it only loads: what goes wrong there is one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAMS = {"taghub": "gateway", "tagfleet": "simulator", "tagsmith": "tools"}


def start(program: str, folder: Path, typer: str) -> "subprocess.Popen[str]":
    """A program that finds `typer` in the place of the package of that name."""
    (folder / "typer.py").write_text(typer, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", program, "--version"], stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_while_it_loads_is_one_line_and_exit_130(program: str, tmp_path: Path) -> None:
    loading = tmp_path / "loading"
    slow = f"import pathlib, time\npathlib.Path({str(loading)!r}).touch()\ntime.sleep(60)\n"
    with start(program, tmp_path, slow) as process:
        while not loading.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, f"{program}: interrupted\n")


@pytest.mark.parametrize("program", PROGRAMS)
def test_package_that_is_missing_is_named_with_what_installs_it(program: str, tmp_path: Path) -> None:
    with start(program, tmp_path, "raise ModuleNotFoundError('no typer', name='typer')\n") as process:
        _, stderr = process.communicate(timeout=30)
    expected = f"{program}: typer is not installed; pip install 'tagstack[{PROGRAMS[program]}]'\n"
    assert (process.returncode, stderr) == (1, expected)
