"""A tag's file system as one LittleFS image."""

from collections.abc import Mapping

import littlefs

from tagsmith.errors import FileError

BLOCK_BYTES = 4096
# MicroPython's VfsLfs2 reads and programs 32 bytes and keeps a cache of four of these (extmod/vfs_lfs.c).
READ_BYTES = PROGRAM_BYTES = 32
CACHE_BYTES = 128
LOOKAHEAD_BYTES = 32
# Of its 4 kB a folder's block may fill no more while an image is made. Each look for a name reads what its folder has
# from the first block on, what was replaced since too; a wake that imports from files looks 130 times.
FOLDER_BYTES = 1024


def make_image(files: Mapping[str, bytes], size_bytes: int) -> bytes:
    """A LittleFS 2 image that MicroPython mounts; the same files give the same bytes.

    size_bytes must be the whole partition's: MicroPython refuses a file system that is smaller than its block device.
    Raises FileError if the files do not fit.
    """
    volume = littlefs.LittleFS(
        block_size=BLOCK_BYTES,
        block_count=size_bytes // BLOCK_BYTES,
        read_size=READ_BYTES,
        prog_size=PROGRAM_BYTES,
        cache_size=CACHE_BYTES,
        lookahead_size=LOOKAHEAD_BYTES,
        metadata_max=FOLDER_BYTES,
    )
    try:
        for path, content in sorted(files.items()):
            folder = path.rpartition("/")[0]
            if folder:
                volume.makedirs(folder, exist_ok=True)
            with volume.open(path, "wb") as file:
                file.write(content)
    except littlefs.LittleFSError as error:
        if error.code != littlefs.LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        raise FileError(
            f"The files do not fit into {size_bytes // 1024} KB.", "use a module with more flash, or fewer files"
        ) from None
    return bytes(volume.context.buffer)


def read_image(image: bytes) -> dict[str, bytes]:
    """Path to content of every file in an image. Raises FileError if it is not one."""
    context = littlefs.UserContext(len(image))
    context.buffer = bytearray(image)
    try:
        volume = littlefs.LittleFS(
            context,
            mount=False,
            block_size=BLOCK_BYTES,
            block_count=len(image) // BLOCK_BYTES,
            read_size=READ_BYTES,
            prog_size=PROGRAM_BYTES,
            cache_size=CACHE_BYTES,
            lookahead_size=LOOKAHEAD_BYTES,
        )
        volume.mount()
    except littlefs.LittleFSError:
        raise FileError("The file is not a LittleFS image.", "make one with `tagsmith image`") from None
    files = {}
    for folder, _, names in volume.walk("/"):
        for name in names:
            path = f"{folder}/{name}".strip("/")
            with volume.open(path, "rb") as file:
                files[path] = file.read()
    return files
