"""Every decoder on the vectors and on what a bad link, disk or neighbour makes of them; the same inputs every time."""

from random import Random

import pytest
from fuzz_targets import TARGETS, run, seeds

DAMAGED_A_SEED = 40


def damaged(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """One of: flipped bits, cut, lengthened, a piece doubled, joined with another one, extreme bytes."""
    out = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(out) + 1)
        match random.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << random.randrange(8)
            case 1:
                del out[at : at + random.randint(1, 4)]
            case 2:
                out[at:at] = random.randbytes(random.randint(1, 5))
            case 3:
                out[at:at] = out[at : at + random.randint(1, 16)]
            case 4:
                out = out[:at] + random.choice(others)[at:]
            case _ if out:
                out[at % len(out)] = random.choice((0, 0x7F, 0x80, 0xFE, 0xFF))
    return bytes(out)


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_documented_error_comes_out(target: str) -> None:
    random = Random(target)
    corpus = seeds(target)
    assert corpus != [b""], "a target without seeds"
    for seed in corpus:
        run(target, seed)
        for _ in range(DAMAGED_A_SEED):
            run(target, damaged(random, seed, corpus))
