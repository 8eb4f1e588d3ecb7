"""A tag's file system as a bench would write it: firmware, portable tagwire, provisioning file, first counter."""

import littlefs

from tagfleet.twin.manifest import tag_files
from tagwire.provision import COUNTER_FILE, PROVISION_FILE, Provision, encode_counter, encode_provision

BLOCK_BYTES = 4096
IMAGE_BLOCKS = 128  # 512 kB; an ESP32 with 4 MB of flash has 2 MB for its files
# MicroPython's VfsLfs2 reads and programs 32 bytes and keeps a cache of four of these.
READ_BYTES = PROGRAM_BYTES = 32
CACHE_BYTES = 128


def make_image(files: dict[str, bytes]) -> bytes:
    """A LittleFS 2 image with these files, as MicroPython formats it."""
    volume = littlefs.LittleFS(
        block_size=BLOCK_BYTES,
        block_count=IMAGE_BLOCKS,
        read_size=READ_BYTES,
        prog_size=PROGRAM_BYTES,
        cache_size=CACHE_BYTES,
        lookahead_size=32,
    )
    for path, content in files.items():
        folder = path.rpartition("/")[0]
        if folder:
            volume.makedirs(folder, exist_ok=True)
        with volume.open(path, "wb") as file:
            file.write(content)
    return bytes(volume.context.buffer)


def provisioned_image(provision: Provision, first_counter: int, files: dict[str, bytes] | None = None) -> bytes:
    """The image of a tag that is ready to go; `files` replaces the firmware of this source tree."""
    return make_image(
        {
            **(tag_files() if files is None else files),
            PROVISION_FILE: encode_provision(provision),
            COUNTER_FILE: encode_counter(first_counter),
        }
    )
