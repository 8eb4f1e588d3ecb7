"""A tag's firmware."""

VERSION = (0, 1, 0)  # major, minor, patch; a byte each
BUILT_S = 1795564800  # 2026-11-25, when this version was made: a tag that knows no time takes no earlier one
