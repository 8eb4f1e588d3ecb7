"""What this machine has, and what this process takes of it."""

import contextlib
import resource
import sys
from pathlib import Path


def free_memory_bytes() -> int:
    """Memory that programs may still take without swapping; 0 where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def allow_many_files() -> None:
    """As many open files as this user may have, also for child processes: a hub has up to nine, a broker one a hub."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def peak_memory_bytes() -> int:
    """The most that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
