"""Real esptool against an emulated chip on a pseudo-terminal: what arrives, what is refused, what can go wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from esp_files import FILE_SYSTEM_OFFSET, micropython_file
from rom_loader import MAC, RomLoader

from tagsmith.errors import BenchError, BoardError, CheckError, FileError, PortError, TrustError
from tagsmith.flash import FlashPlan, flash, plan_flash
from tagsmith.image import make_image, read_image

FILES = {"boot.py": b"", "main.py": b"import tag\n", "tag/__init__.mpy": b"M\x06\x00\x1f" * 50}
FLASH_BYTES = 4 << 20
BOOT_LOG = b"ets Jun  8 2016 00:22:57\r\n\r\nrst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"


@pytest.fixture
def plan(tmp_path: Path) -> FlashPlan:
    return make_plan(tmp_path, "esp32")


def make_plan(folder: Path, chip: str) -> FlashPlan:
    path = folder / f"{chip}.bin"
    path.write_bytes(micropython_file(chip))
    return plan_flash(path, FILES, accept_unlisted=True)


@pytest.mark.parametrize("use_stub", [True, False], ids=["stub", "rom"])
@pytest.mark.parametrize(("chip", "offset"), [("esp32", 0x1000), ("esp32c3", 0), ("esp32s3", 0), ("esp32c6", 0)])
def test_flash_writes_every_byte_where_the_chip_looks_for_it(
    tmp_path: Path, chip: str, offset: int, use_stub: bool
) -> None:
    plan = make_plan(tmp_path, chip)
    seen: list[tuple[str, float]] = []
    with RomLoader(chip) as board:
        report = flash(board.port, plan, use_stub=use_stub, show=lambda stage, share: seen.append((stage, share)))
        held = bytes(board.flash)

    assert held[offset : offset + len(plan.micropython)] == plan.micropython
    file_system = held[FILE_SYSTEM_OFFSET:]
    assert file_system == make_image(FILES, FLASH_BYTES - FILE_SYSTEM_OFFSET)
    assert read_image(file_system) == FILES
    assert (report.chip, report.mac.replace(":", ""), report.flash_bytes) == (chip, f"{MAC:012x}", FLASH_BYTES)
    assert board.stub_runs == use_stub
    shares = [share for stage, share in seen if stage == "write"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_flash_fits_the_file_system_to_the_flash_it_finds(plan: FlashPlan) -> None:
    with RomLoader(flash_bytes=8 << 20) as board:
        flash(board.port, plan)

    assert read_image(bytes(board.flash[FILE_SYSTEM_OFFSET:])) == FILES


def test_flash_of_an_earlier_tag_leaves_none_of_its_keys(plan: FlashPlan) -> None:
    """The counters in NVS and the files of an earlier owner are gone: everything from NVS to the application's end, and
    the whole file system."""
    with RomLoader() as board:
        board.flash[0x9000:0x9010] = b"old counter here"
        board.flash[0x3FFFF0:] = b"an old root key!"
        flash(board.port, plan)

    assert b"old counter" not in board.flash
    assert b"old root key" not in board.flash


def refused(board: RomLoader, plan: FlashPlan, cause: type[BenchError], match: str) -> BenchError:
    with board, pytest.raises(cause, match=match) as caught:
        flash(board.port, plan, use_stub=False)
    assert caught.value.try_next
    return caught.value


def test_flash_refuses_a_wrong_chip_before_writing(plan: FlashPlan) -> None:
    board = RomLoader("esp32c3")
    refused(board, plan, BoardError, "is an esp32c3; the MicroPython file is for an esp32")
    assert board.erased_by_begin == []


def test_flash_refuses_too_small_a_flash_before_writing(plan: FlashPlan) -> None:
    board = RomLoader(flash_bytes=2 << 20)
    refused(board, plan, FileError, "needs more flash than the chip's 2048 KB")
    assert board.erased_by_begin == []


def test_flash_that_does_not_hold_what_was_written_is_found(plan: FlashPlan) -> None:
    refused(RomLoader(wears_out_at=0x1000), plan, CheckError, "not what was written")


@pytest.mark.parametrize(
    ("says", "match"),
    [
        (BOOT_LOG, "restarts again and again"),
        (bytes(range(128, 256)), "are not text"),
        (b">>> \r\nTraceback (most recent call last):\r\n", "talks but"),
    ],
    ids=["boot loop", "garbage", "program"],
)
def test_flash_says_what_the_line_carries(plan: FlashPlan, says: bytes, match: str) -> None:
    refused(RomLoader(says=says), plan, BoardError, match)


def test_flash_without_a_board_says_so(plan: FlashPlan) -> None:
    refused(RomLoader(says=b""), plan, BoardError, "No board answers")


@pytest.mark.parametrize("pulled_after_bytes", [300, 1500, 2500])
def test_flash_survives_a_pulled_cable_and_succeeds_when_repeated(plan: FlashPlan, pulled_after_bytes: int) -> None:
    board = RomLoader(pulled_after_bytes=pulled_after_bytes)
    refused(board, plan, BoardError, "broke off")
    with RomLoader() as same_board_again:
        same_board_again.flash[:] = board.flash
        flash(same_board_again.port, plan)


@pytest.mark.soak
def test_flash_survives_a_cable_pulled_at_any_byte(plan: FlashPlan) -> None:
    with RomLoader() as whole:
        flash(whole.port, plan, use_stub=False)
    for pulled_after_bytes in range(40, whole.received_bytes, 97):
        refused(RomLoader(pulled_after_bytes=pulled_after_bytes), plan, BoardError, "broke off")


def test_flash_refuses_a_port_that_another_program_has(plan: FlashPlan) -> None:
    with RomLoader() as board, serial.Serial(board.port, exclusive=True):
        with pytest.raises(PortError, match="in use"):
            flash(board.port, plan)
        assert board.received_bytes == 0


def test_flash_refuses_a_port_that_does_not_exist(plan: FlashPlan) -> None:
    with pytest.raises(PortError, match="no serial port"):
        flash("/dev/ttyUSB987", plan)


def test_plan_refuses_an_unlisted_file_unless_told_to_accept_it(tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(micropython_file())

    with pytest.raises(TrustError, match="none of the official builds") as caught:
        plan_flash(path, FILES)
    assert "micropython.org/resources/firmware/ESP32_GENERIC" in caught.value.try_next


def test_plan_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        plan_flash(tmp_path / "none.bin", FILES)


@pytest.fixture
def children() -> Iterator[None]:
    yield
    assert not [name for name in os.listdir("/proc") if name.isdigit() and _is_esptool_child(name)]


def _is_esptool_child(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            parent = stat.read().rpartition(")")[2].split()[1]
    except OSError:
        return False
    return int(parent) == os.getpid()


@pytest.mark.usefixtures("children")
def test_flash_interrupted_leaves_no_esptool_behind(plan: FlashPlan) -> None:
    def stop(stage: str, share: float) -> None:
        if stage == "write" and share > 0:
            raise KeyboardInterrupt

    with RomLoader() as board, pytest.raises(KeyboardInterrupt):
        flash(board.port, plan, show=stop)
