#!/bin/sh
# Type-checks what runs on a tag against the stubs of MicroPython for ESP32. Called by `make lint` with .venv/bin in PATH.
set -eu
cd "$(dirname "$0")/.."
stubs="micropython-esp32-stubs~=1.29.0"

if [ "$(cat build/typings/.installed 2>/dev/null)" != "$stubs" ]; then
    # Not into the venv: they would take the place of CPython's own types there.
    rm -rf build/typings
    python -m pip install --quiet --disable-pip-version-check --target build/typings "$stubs"
    echo "$stubs" >build/typings/.installed
fi

# shellcheck disable=SC2046  # paths of this repository have no spaces
mypy --config-file firmware/mypy.ini $(python -c 'from tagsmith.manifest import tag_sources; print(*tag_sources().values())')
