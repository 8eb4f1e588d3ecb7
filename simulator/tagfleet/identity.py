"""Who the virtual tags are: provisions as a bench would write them, drawn from a seed. Pure."""

import numpy as np

from tagwire.provision import Provision

FIRST_TWIN_ID, FIRST_FLOCK_ID = 1, 10_001


def make_provisions(
    seed: int,
    first_tag_id: int,
    tags: int,
    *,
    generation: int = 0,
    company_id: int = 0xFFFF,
    board: str = "esp32-devkit",
    settings: dict[str, int | bool | str] | None = None,
) -> list[Provision]:
    """`tags` provisions with ids from `first_tag_id` on. Their root keys come from a seed: for simulations only."""
    rng = np.random.default_rng([seed, first_tag_id])
    return [
        Provision(first_tag_id + i, rng.bytes(16), generation, company_id, board, dict(settings or {}))
        for i in range(tags)
    ]
