"""SPEC.md says what the code does: tables and example are generated, its command runs, its links lead somewhere."""

import re
import subprocess
import sys

import pytest
from vector_files import FOLDER

import make_spec

TEXT = make_spec.SPEC.read_text(encoding="utf-8")
COMMANDS = [line.split("$ python ")[1] for line in TEXT.splitlines() if line.strip().startswith("$ python ")]


def test_generated_parts_are_what_the_code_makes() -> None:
    assert set(re.findall(r"<!-- generated: (\w+) -->", TEXT)) == set(make_spec.PARTS)
    assert make_spec.generated(TEXT) == TEXT, "run: python protocol/make_spec.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_in_the_page_runs(command: str) -> None:
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "52.52000" in done.stdout


def test_links_lead_to_a_heading_or_a_file() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        found = target[1:] in headings if target.startswith("#") else (make_spec.SPEC.parent / target).exists()
        assert found, target


def test_every_vector_file_is_described() -> None:
    assert set(re.findall(r"^\| `(\w+\.json)`", TEXT, re.M)) >= {path.name for path in FOLDER.glob("*.json")}
