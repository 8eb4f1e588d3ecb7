"""Where the vectors are, and one test parameter per case."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "protocol" / "vectors"


def load(name: str) -> Any:
    """The content of protocol/vectors/<name>.json."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def each(name: str, *groups: str) -> pytest.MarkDecorator:
    """Runs a test once for each case of some groups of a file, as its argument `case`."""
    content = load(name)
    cases = [case for group in groups for case in content[group]]
    return pytest.mark.parametrize("case", [pytest.param(case, id=str(case.get("name"))) for case in cases])
