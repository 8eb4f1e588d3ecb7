"""What `tagsmith flash` costs beyond esptool itself, both as programs, against the same emulated chip."""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, interleaved

TESTS = Path(__file__).resolve().parents[1] / "tests" / "tools"
APPLICATION_BYTES = 1_700_000  # as MicroPython's
FILE_SYSTEM_KB = 2048


def figures(runs: int) -> Iterator[Figure]:
    sys.path.append(str(TESTS))
    from esp_files import FILE_SYSTEM_OFFSET, micropython_file
    from rom_loader import RomLoader

    with tempfile.TemporaryDirectory() as folder:
        micropython, image = Path(folder, "micropython.bin"), Path(folder, "files.img")
        # Half random, so that it compresses about as a program does.
        application = random.Random(1).randbytes(APPLICATION_BYTES // 2) + bytes(APPLICATION_BYTES // 2)
        micropython.write_bytes(micropython_file("esp32", application))
        subprocess.run([sys.executable, "-m", "tagsmith", "image", image], check=True, stdout=subprocess.DEVNULL)

        def seconds(*arguments: str) -> float:
            with RomLoader() as board:
                command = [sys.executable, "-m", *(board.port if word == "PORT" else word for word in arguments)]
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                return time.perf_counter() - started

        parts = ("0x1000", str(micropython), hex(FILE_SYSTEM_OFFSET), str(image))
        values = interleaved(
            max(1, runs // 2),
            {
                "tagsmith": lambda: seconds(
                    "tagsmith", "flash", "PORT", "--accept-unlisted", "--micropython", parts[1]
                ),
                "esptool": lambda: seconds("esptool", "--port", "PORT", "--baud", "460800", "write-flash", *parts),
            },
        )
    yield Figure(
        "flash_overhead_seconds",
        "s",
        "lower",
        2,
        [whole - esptool for whole, esptool in zip(values["tagsmith"], values["esptool"], strict=True)],
        "tagsmith flash (compile, check, detect, make the image, write, verify) less esptool write-flash of the same",
    )
