"""Batches after which the broker closes the connection instead of answering. Pure.

A broker that does so with one batch would never get any other. But a bad link looks the same: so a batch is guilty only
when something else was acknowledged between its tries. A status is proof enough against a batch that can go in halves,
which loses nothing; against one that will be set aside, only another batch is.
"""

BLAMES_MAX = 3


class Suspects:
    """Who was in flight alone when the connection ended."""

    def __init__(self) -> None:
        self._batches = 0
        self._statuses = 0
        self._blamed: dict[int, tuple[int, int]] = {}

    def acknowledged(self, sequence: int) -> None:
        """The link works, and this batch is innocent."""
        self._batches += 1
        self._blamed.pop(sequence, None)

    def status_acknowledged(self) -> None:
        """The link works, for a status at least."""
        self._statuses += 1

    def blame(self, sequence: int, splittable: bool) -> bool:
        """The connection has ended with this batch alone in flight. True when that has happened too often."""
        proofs = self._batches + (self._statuses if splittable else 0)
        blames, proofs_before = self._blamed.get(sequence, (0, -1))
        if proofs != proofs_before:
            blames += 1
        self._blamed[sequence] = (blames, proofs)
        if blames >= BLAMES_MAX:
            del self._blamed[sequence]
            return True
        return False
