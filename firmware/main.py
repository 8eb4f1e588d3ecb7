"""Runs after boot.py: one wake of the tag, which ends in deep sleep."""

from tag.app import main

main()
