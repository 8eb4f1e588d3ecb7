"""What is on a board's file system: copied to the bench, or forgotten."""

import binascii
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tagsmith.errors import BoardError, CheckError, FileError
from tagsmith.output import ShowProgress, silent
from tagsmith.rawrepl import Board
from tagwire.provision import PROVISION_FILE

LEFT_OUT = (PROVISION_FILE, "provision.new")  # the key stays on the tag
DUMP_TIMEOUT_S = 20.0


def dump(board: Board, folder: Path, on_progress: ShowProgress = silent) -> dict[str, int]:
    """Every file but the key into `folder`; path on the tag to size in bytes.

    Raises FileError when the folder is not empty or cannot be written, BoardError when the board sends nonsense.
    """
    sizes: dict[str, int] = {}
    out: BinaryIO | None = None

    def on_line(line: object) -> None:
        try:
            take(line)
        except OSError as error:  # ours, not the line's
            raise _cannot_write(folder, error) from None

    def take(line: object) -> None:
        nonlocal out
        if not isinstance(line, list) or len(line) != 2 or not isinstance(line[0], str):
            raise BoardError("The board sent something that is no file.", "the same command again")
        path, piece = PurePosixPath(line[0].lstrip("/")), line[1]
        if ".." in path.parts or not path.parts:  # a tag that was tampered with must not write elsewhere
            raise BoardError("The board has a file of an impossible name.", "`tagsmith flash` makes it anew")
        if piece is None:
            if out is not None:
                out.close()
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            out = target.open("wb")
            sizes[str(path)] = 0
            on_progress(f"copy {path}", 0.0)
        elif out is not None:
            sizes[str(path)] += out.write(binascii.a2b_base64(piece))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileError(f"{folder} is not empty.", "another folder")
        board.run("dump", LEFT_OUT, DUMP_TIMEOUT_S, on_line)
    except OSError as error:
        raise _cannot_write(folder, error) from None
    finally:
        if out is not None:
            out.close()
    return sizes


def wipe(board: Board) -> None:
    """The board forgets its identity. Raises BoardError, CheckError when the key is still there."""
    if board.run("wipe") != [False]:
        raise CheckError("The board still holds its key.", "`tagsmith flash`, which erases everything")


def _cannot_write(folder: Path, error: OSError) -> FileError:
    return FileError(f"{folder} cannot be written: {error.strerror}.", "another folder, with room")
