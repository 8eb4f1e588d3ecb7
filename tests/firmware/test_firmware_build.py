"""The firmware as a whole: compiles for the chip, fits, and is listed in one place."""

import ast

import pytest
from benchmarks.firmware import ALWAYS, VISITED, bundle, loaded_with

from tagsmith.manifest import firmware_folder, tag_sources

# MicroPython keeps loaded bytecode in its heap, at 1.5 to 1.7 times its size on 32 bits: 40 kB of some 134 kB free for
# what every wake loads, and as much again while a hub is served.
RESIDENT_BYTES_MAX = ON_DEMAND_BYTES_MAX = 24_576


def test_manifest_lists_every_file_of_the_firmware() -> None:
    folder = firmware_folder()
    on_tag = set(tag_sources().values())
    assert {path for path in folder.rglob("*.py") if path.name != "manifest.py"} <= on_tag
    assert all(path.is_file() for path in on_tag)


def test_what_every_wake_loads_fits(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = bundle()
    with capsys.disabled():
        print(f"\nfirmware: {sizes.resident:,} bytes of bytecode in every wake, {sizes.on_demand:,} more in the worst")
    assert "tagwire/history.py" not in loaded_with(*ALWAYS)
    assert "tagwire/history.py" in loaded_with(*VISITED)
    assert sizes.resident < RESIDENT_BYTES_MAX
    assert sizes.on_demand < ON_DEMAND_BYTES_MAX
    assert sizes.resident + sizes.on_demand < sizes.all


def test_firmware_uses_no_floating_point() -> None:
    """An ESP32 has single precision only: 47.1234567 * 1e7 is 471234560 there."""
    tag = [path for name, path in tag_sources().items() if name.startswith("tag")]
    for path in tag:
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (path, node.lineno)
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), (path, node.lineno)
