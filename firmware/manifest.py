"""What goes on a tag, and the only list of it. MicroPython's own manifest format.

Images for virtual boards and the bench read this file; a firmware build can freeze it into the chip's flash as it
stands (`make BOARD=... FROZEN_MANIFEST=...`), which shortens every wake.
"""

module("boot.py")  # noqa: F821  (module and package are given by whoever reads a manifest)
module("main.py")  # noqa: F821
package("tag")  # noqa: F821
package(  # noqa: F821
    "tagwire",
    # The portable files; the rest of tagwire needs CPython.
    files=(
        "__init__.py",
        "errors.py",
        "fields.py",
        "seal.py",
        "keys.py",
        "counter.py",
        "advertise.py",
        "beacon.py",
        "alarm.py",
        "service.py",
        "provision.py",
        "bits.py",
        "ranges.py",
        "history.py",
        "messages.py",
        "session.py",
        "tagend.py",
        "command.py",
        "revocation.py",
        "gatt_ids.py",
    ),
    base_path="../protocol",
)
