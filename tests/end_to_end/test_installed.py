"""What a wheel holds: programs that run without the repository beside them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PROBE = """
import tagfleet, taghub, tagsmith, tagwire.errors
from pathlib import Path
from tagsmith.manifest import firmware_folder, tag_files
site = Path(tagfleet.__file__).parents[1]
for file in (taghub.__file__, tagsmith.__file__, tagwire.errors.__file__, firmware_folder()):
    assert Path(file).is_relative_to(site), file
assert {"main.py", "boot.py", "tag/app.py", "tagwire/beacon.py"} <= tag_files().keys()
assert (site / "tagwire/_vectors/beacon.json").is_file() and (site / "tagfleet/_scenarios").is_dir()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip would install it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(REPOSITORY)], check=True, stdin=subprocess.DEVNULL)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_wheel_holds_firmware_vectors_and_scenarios(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, "-c", PROBE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", ["taghub", "tagfleet", "tagsmith"])
def test_installed_program_shows_its_help(site: Path, tmp_path: Path, program: str) -> None:
    done = run(site, tmp_path, "-m", program, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_installed_twin_has_its_board(site: Path, tmp_path: Path) -> None:
    probe = "import tagfleet.twin.process, pathlib; p = pathlib.Path(tagfleet.twin.process.__file__).parent / 'board'"
    done = run(site, tmp_path, "-c", f"{probe}; assert (p / 'machine.py').is_file()")
    assert done.returncode == 0, done.stderr
