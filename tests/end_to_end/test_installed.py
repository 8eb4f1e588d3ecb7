"""What a wheel holds: programs that run without the repository beside them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

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
assert (site / "tagfleet/twin/board/machine.py").is_file()
"""


def test_wheel_runs_without_the_repository(tmp_path: Path) -> None:
    """One test, because building the wheel takes most of its time."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(REPOSITORY)], check=True, stdin=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    run("-c", PROBE)
    for program in ("taghub", "tagfleet", "tagsmith"):
        assert "Usage" in run("-m", program, "--help")
