"""From what a silent or talkative port said to what is wrong with it. Pure. Nothing of what was said is repeated."""

from typing import NamedTuple


class Diagnosis(NamedTuple):
    """One sentence, and what to try next."""

    sentence: str
    try_next: str


RESTARTS_OF_A_LOOP = 3  # one at power-on, one by our own reset; a third is the board's own doing


def diagnose(port: str, heard: bytes) -> Diagnosis:
    """Why a port that said `heard` did not come to MicroPython's prompt."""
    if not heard:
        return Diagnosis(
            f"No board answers on {port}.",
            "another cable (many only charge), the right port (`tagsmith ports`), power; then EN or RESET",
        )
    if b"waiting for download" in heard:
        return Diagnosis(
            f"The board on {port} waits for a download, it does not run.", "release BOOT, then press EN or RESET"
        )
    if b"invalid header" in heard or b"No bootable app" in heard or b"flash read err" in heard:
        return Diagnosis(f"The board on {port} has no MicroPython.", f"`tagsmith flash {port}`")
    if heard.count(b"rst:0x") >= RESTARTS_OF_A_LOOP or heard.count(b"Guru Meditation") >= 2:
        return Diagnosis(
            f"The board on {port} restarts again and again.",
            f"a cable or hub that gives more current (Brownout); else `tagsmith flash {port}` anew",
        )
    if b"Brownout detector" in heard:
        return Diagnosis(f"The board on {port} has too little power.", "another cable, a powered hub, no loads on 3V3")
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in heard)
    if printable < 0.7 * len(heard):
        return Diagnosis(
            f"{len(heard)} bytes came from {port}, and they are not text.",
            "--baud 115200 (MicroPython's console); else another cable",
        )
    return Diagnosis(
        f"The board on {port} talks but does not come to its prompt.",
        "EN or RESET, then the same again; `tagsmith monitor` shows what it says",
    )
