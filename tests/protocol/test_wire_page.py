"""docs/wire.md says what the code does: its row of our own batches is measured again."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.batches import APART, SIZES, make_batch, sizes_without

from tagwire.batch import encode_batches

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_published_batch_sizes_are_current() -> None:
    (row,) = re.findall(r"^\| \*\*tagstack batch\*\* \|.*$", (DOCS / "wire.md").read_text("utf-8"), re.MULTILINE)
    published = [float(value) for value in re.findall(r"\*\*([\d.]+)\*\*", row)]
    assert len(published) == len(SIZES)
    for (count, tags, samples_a_tag, goal), value in list(zip(SIZES, published, strict=True))[:4]:
        payloads = encode_batches(make_batch(tags, samples_a_tag))
        # zstd's versions differ by some bytes.
        assert sizes_without(payloads, APART) / count == pytest.approx(value, rel=0.03)
        assert value <= goal


def test_plot_is_an_image() -> None:
    assert ElementTree.parse(DOCS / "wire-mqtt.svg").getroot().tag.endswith("svg")
