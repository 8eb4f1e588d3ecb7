"""What goes on a tag, in source: reads the firmware's `manifest.py`. For the bench and for virtual boards."""

from collections.abc import Sequence
from pathlib import Path

import tagwire.errors


def firmware_folder() -> Path:
    """Where the firmware's source lies: within the installed package, or in the repository beside it."""
    package = Path(__file__).resolve().parent
    installed = package / "_firmware"
    return installed if installed.is_dir() else package.parents[1] / "firmware"


def tag_sources(folder: Path | None = None) -> dict[str, Path]:
    """Path on the tag ("tag/app.py") to the source file; `folder` is the firmware's, where it is another one."""
    folder = folder or firmware_folder()
    sources: dict[str, Path] = {}

    def module(path: str) -> None:
        sources[path] = folder / path

    def package(name: str, files: Sequence[str] | None = None, base_path: str = ".") -> None:
        # An installed firmware has no protocol folder beside it: tagwire is the one that this program itself uses.
        root = Path(tagwire.errors.__file__).parent if name == "tagwire" else folder / base_path / name
        for path in files or sorted(str(path.relative_to(root)) for path in root.rglob("*.py")):
            sources[f"{name}/{path}"] = root / path

    manifest = folder / "manifest.py"
    exec(compile(manifest.read_text(), str(manifest), "exec"), {"module": module, "package": package})
    return sources


def tag_files(folder: Path | None = None) -> dict[str, bytes]:
    """Path on the tag to content, for every file of the firmware."""
    return {path: source.read_bytes() for path, source in tag_sources(folder).items()}
