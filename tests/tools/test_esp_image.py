"""A MicroPython file is refused before any board is touched, for each way in which it can be wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from esp_files import FILE_SYSTEM_OFFSET, PARTITIONS, esp_image, micropython_file, partition_table
from hypothesis import given
from hypothesis import strategies as st

from tagsmith.errors import FileError
from tagsmith.esp_image import file_system_region, parse_micropython, parse_partitions
from tagsmith.official_images import find_official, official_images, where_to_get

MB = 1 << 20


@pytest.mark.parametrize("chip", ["esp32", "esp32c3", "esp32s3", "esp32c6"])
def test_micropython_file_tells_its_chip_and_partitions(chip: str) -> None:
    image = parse_micropython(micropython_file(chip))

    assert image.chip.name == chip
    assert [partition.name for partition in image.partitions] == ["nvs", "phy_init", "factory"]


@pytest.mark.parametrize("chip", ["esp32", "esp32c3", "esp32s3", "esp32c6"])
def test_files_of_these_tests_are_what_esptool_takes_for_whole(tmp_path: Path, chip: str) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(esp_image(chip, bytes(range(256)) * 64))

    command = [sys.executable, "-m", "esptool", "image-info", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.count("(valid)") == 2


def test_micropython_file_for_a_chip_without_a_board_is_refused_by_name() -> None:
    with pytest.raises(FileError, match="for esp32h2"):
        parse_micropython(micropython_file("esp32h2"))


@pytest.mark.parametrize("position", [0x20, 0x7010, 0xF018, 0xF400, -40, -1])
def test_micropython_file_with_one_wrong_bit_is_refused(position: int) -> None:
    """In the bootloader, the partition table, the application's header, content, checksum line, and SHA-256."""
    data = bytearray(micropython_file())
    data[position] ^= 4

    with pytest.raises(FileError):
        parse_micropython(bytes(data))


@given(st.integers(0, len(micropython_file()) - 1))
def test_micropython_file_cut_short_is_refused(length: int) -> None:
    with pytest.raises(FileError):
        parse_micropython(micropython_file()[:length])


@given(st.binary(max_size=200))
def test_partition_table_of_garbage_is_refused(table: bytes) -> None:
    with pytest.raises(FileError):
        parse_partitions(table)


@given(st.binary(max_size=400))
def test_micropython_file_of_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(FileError):
        parse_micropython(b"\xe9" + data)


def test_file_system_without_a_partition_is_what_follows_the_last() -> None:
    partitions = parse_partitions(partition_table())

    assert file_system_region(partitions, 4 * MB) == (FILE_SYSTEM_OFFSET, 2 * MB)
    assert file_system_region(partitions, 8 * MB) == (FILE_SYSTEM_OFFSET, 6 * MB)


def test_file_system_with_a_partition_lies_there() -> None:
    partitions = parse_partitions(partition_table((*PARTITIONS, ("vfs", 1, 0x81, 0x210000, 0x1F0000))))

    assert file_system_region(partitions, 8 * MB) == (0x210000, 0x1F0000)


def test_file_system_on_too_small_a_flash_is_refused() -> None:
    with pytest.raises(FileError, match="needs more flash"):
        file_system_region(parse_partitions(partition_table()), 2 * MB)


def test_official_images_are_listed_for_each_chip_and_found_by_sum() -> None:
    for known in official_images():
        assert find_official(known.sha256) == known
        assert len(bytes.fromhex(known.sha256)) == 32
    assert where_to_get("esp32s3").endswith(".bin")
    assert where_to_get("esp32c6") == "https://micropython.org/download/ESP32_GENERIC_C6/", "no sum of it is known"
    assert find_official("0" * 64) is None
