"""Ten minutes of atheris over all decoders together: `make soak`. TAGSTACK_FUZZ_S=3600 looks for an hour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_targets import TARGETS

TOTAL_S = int(os.environ.get("TAGSTACK_FUZZ_S", "600"))
RUNNER = Path(__file__).with_name("fuzz_run.py")


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS)
def test_decoder_under_atheris(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only")
    seconds = max(TOTAL_S // len(TARGETS), 1)
    done = subprocess.run(
        [sys.executable, str(RUNNER), target, str(seconds), str(tmp_path)],
        cwd=RUNNER.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds * 3 + 120,
    )
    crashes = [
        path.read_bytes().hex() for path in tmp_path.iterdir() if path.name.startswith(("crash", "oom", "timeout"))
    ]
    assert done.returncode == 0, f"inputs {crashes}\n{done.stdout[-4_000:]}"
    assert "stat::number_of_executed_units" in done.stdout
