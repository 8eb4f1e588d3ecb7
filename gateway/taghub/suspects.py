"""Batches after which the broker closes the connection instead of answering. Pure.

A broker that does so with one batch would never get any other. But a bad link looks the same: so a batch is guilty only
when others were acknowledged between its tries.
"""

BLAMES_MAX = 3


class Suspects:
    """Who was in flight alone when the connection ended."""

    def __init__(self) -> None:
        self._proofs = 0
        self._blamed: dict[int, tuple[int, int]] = {}

    def acknowledged(self, sequence: int) -> None:
        """The link works, and this batch is innocent."""
        self._proofs += 1
        self._blamed.pop(sequence, None)

    def blame(self, sequence: int) -> bool:
        """The connection has ended with this batch alone in flight. True when that has happened too often."""
        blames, proofs = self._blamed.get(sequence, (0, -1))
        if proofs != self._proofs:
            blames += 1
        self._blamed[sequence] = (blames, self._proofs)
        if blames >= BLAMES_MAX:
            del self._blamed[sequence]
            return True
        return False
