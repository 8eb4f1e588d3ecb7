"""The commands that the documents show are run as a reader would run them.

In every ```console block, each line that starts with `$ ` is a command; a document's commands run in order in one empty
folder. Blocks marked ```sh need hardware or a network and are not run. `make` runs in the repository.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "protocol/*.md",
        "gateway/*.md",
        "simulator/*.md",
        "firmware/*.md",
        "tools/*.md",
    )
    for path in REPOSITORY.glob(pattern)
)
UNTIL_CTRL_C = "# runs until Ctrl-C"
NESTED = {
    "make test",
    "make soak",
    "make bench",
    "make lint",
    "make format",
    ".ci/run",
}  # would run this test again, or for long


def commands(document: Path) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    return [line[2:].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DEMO_SECONDS": "6",
        "TAGSTACK_REPOSITORY": str(REPOSITORY),
    }
    endless = command.endswith(UNTIL_CTRL_C)
    where = REPOSITORY if command.startswith("make ") else folder
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}" if endless else command],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=5 if endless else 90)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert endless, f"`{command}` did not end:\n{output}"
    else:
        assert not endless, f"`{command}` ended by itself:\n{output}"
    assert process.returncode == 0, f"`{command}` exited with {process.returncode}:\n{output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_document_commands_run(document: Path, tmp_path: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for command in commands(document):
        if command in NESTED:
            target = shlex.split(command)[-1]
            assert (REPOSITORY / command).exists() or f"\n{target}:" in makefile, f"{document}: {command}"
        else:
            run(command, tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_document_links_exist(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document}: broken link to {target}"
