"""A twin's file system as the bench would write it: firmware, portable tagwire, provisioning file, first counter."""

import functools

from tagsmith.compile import compile_files
from tagsmith.errors import ToolError
from tagsmith.image import make_image
from tagsmith.manifest import tag_files
from tagwire.provision import COUNTER_FILE, PROVISION_FILE, Provision, encode_counter, encode_provision

IMAGE_BYTES = 512 * 1024  # an ESP32 with 4 MB of flash has 2 MB for its files


@functools.cache
def compiled_firmware() -> dict[str, bytes]:
    """This installation's firmware as the bench would put it on a tag; as source where there is no compiler."""
    try:
        return compile_files(tag_files())
    except ToolError:
        return tag_files()


def provisioned_image(provision: Provision, first_counter: int, files: dict[str, bytes] | None = None) -> bytes:
    """The image of a tag that is ready to go; `files` replaces this installation's firmware."""
    return make_image(
        {
            **(compiled_firmware() if files is None else files),
            PROVISION_FILE: encode_provision(provision),
            COUNTER_FILE: encode_counter(first_counter),
        },
        IMAGE_BYTES,
    )
