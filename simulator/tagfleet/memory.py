"""How this process's allocator deals with large arrays that come and go."""

import numpy as np

_KEPT_BYTES = 30_000_000


def keep_freed_memory() -> None:
    """Call it once: else each column of each step is new memory, which the system has to clear first; that is a quarter
    of the world's time.

    glibc gives blocks above a threshold back to the system, and raises it to the size of the largest one that was freed
    (mallopt(3), M_MMAP_THRESHOLD; at most 32 MiB). Elsewhere this does nothing.
    """
    np.empty(_KEPT_BYTES, np.uint8)
