"""What a run will need, before it starts: memory, disk, rates. Pure: the machine's figures come in.

The bytes are measured ones (a run of 100,000 tags), rounded up.
"""

from typing import NamedTuple

from tagfleet.flock import SEALERS_MAX
from tagfleet.ledger.rows import ROW
from tagfleet.scenario.model import Scenario
from tagfleet.targets.inside import workers_for

BASE_MB = 150.0  # Python, numpy, the parts of a run
WORKER_MB = 75.0
TAG_BYTES = 310  # world, flock, keys
UNSEALED_TAG_BYTES = 250
SEALER_BYTES = 560  # a kept cipher, of flocks that are not too large for it
HUB_TAG_BYTES = 2_200  # what a hub's intake and spool keep of a tag
HUB_MB = 1.2  # inside: threads, SQLite, MQTT client
TAGHUB_MB = 65.0  # a process
LEDGER_DEPTH = 3  # samples of a tag whose rows are in use at once; older ones are in the file
SAMPLES_PER_S = {"inside": 100_000.0, "batches": 200_000.0, "taghub": 30_000.0, "air": 30_000.0, "hci": 200.0}
"""About what one 2-core machine makes and takes in, with a plain air; a third of it with the full one."""
FULL_AIR_SHARE = 0.3


class Estimate(NamedTuple):
    """memory_bytes: of all processes. ledger_bytes: on disk. samples: in all; per_s: of real time; possible_per_s: what
    a machine like ours does. tags_max: how many would fit into the free memory, 0 where that is not known."""

    memory_bytes: int
    ledger_bytes: int
    samples: int
    per_s: float
    possible_per_s: float
    publishes_per_s: float
    real_s: float
    tags_max: int


def estimate(scenario: Scenario, free_bytes: int) -> Estimate:
    """free_bytes: the machine's free memory; 0 where it is not known."""
    tags, hubs = scenario.tags.count, scenario.hubs
    per_tag = UNSEALED_TAG_BYTES if hubs.target == "batches" else TAG_BYTES
    if hubs.target != "batches" and tags <= SEALERS_MAX:
        per_tag += SEALER_BYTES
    per_tag += min(LEDGER_DEPTH, scenario.samples_per_tag) * ROW.itemsize
    fixed = BASE_MB * 1e6
    if hubs.target in ("inside", "batches"):
        fixed += workers_for(scenario) * WORKER_MB * 1e6 + hubs.count * HUB_MB * 1e6
    elif hubs.target in ("taghub", "hci"):
        fixed += hubs.count * TAGHUB_MB * 1e6
    if hubs.target in ("inside", "taghub", "hci"):
        per_tag += HUB_TAG_BYTES
    possible = SAMPLES_PER_S[hubs.target]
    if scenario.air.model == "full" and hubs.target in ("inside", "taghub", "air"):
        possible *= FULL_AIR_SHARE
    speed = scenario.run.time
    per_s = scenario.tags.count / scenario.tags.interval * speed
    real_s = scenario.run.duration / speed if speed != float("inf") else scenario.samples / possible
    per_hub = scenario.tags.count / hubs.count / scenario.tags.interval  # samples of a hub a second of the run's time
    publishes = hubs.count * min(per_hub, max(1 / hubs.batch_age, per_hub / hubs.batch_samples))
    return Estimate(
        int(fixed + tags * per_tag),
        scenario.samples_per_tag * tags * ROW.itemsize,
        scenario.samples,
        per_s,
        possible,
        publishes * speed,
        real_s,
        max(0, int((free_bytes - fixed) / per_tag)) if free_bytes else 0,
    )


def too_much(scenario: Scenario, found: Estimate, free_bytes: int) -> str:
    """Why a scenario does not fit into the memory; empty where it does."""
    if not free_bytes or found.memory_bytes <= free_bytes:
        return ""
    if not found.tags_max:
        return (
            f'{scenario.hubs.count:,} hubs of target "{scenario.hubs.target}" need about '
            f"{found.memory_bytes / 1e9:.1f} GB of memory, and this machine has {free_bytes / 1e9:.1f} GB free"
        )
    return (
        f"{scenario.tags.count:,} tags need about {found.memory_bytes / 1e9:.1f} GB of memory, and this machine has "
        f"{free_bytes / 1e9:.1f} GB free; at most about {found.tags_max:,} fit"
    )


def too_fast(found: Estimate) -> str:
    """Why a schedule may not be kept; empty where it may."""
    if found.per_s <= found.possible_per_s or found.per_s == float("inf"):
        return ""
    return (
        f"{found.per_s:,.0f} samples/s are more than the {found.possible_per_s:,.0f} that a 2-core machine makes: "
        "the run may end as void (exit code 3)"
    )


def lines(scenario: Scenario, found: Estimate, free_bytes: int) -> list[str]:
    """For a person."""
    rate = "as fast as it can" if found.per_s == float("inf") else f"{found.per_s:,.0f} samples/s"
    publishes = "" if found.publishes_per_s == float("inf") else f", about {found.publishes_per_s:,.0f} publishes/s"
    free = f" of {free_bytes / 1e9:.1f} GB free" if free_bytes else ""
    result = [
        f"samples   {found.samples:,} of {scenario.tags.count:,} tags through {scenario.hubs.count:,} hubs",
        f"rate      {rate}{publishes}; a 2-core machine does about {found.possible_per_s:,.0f} samples/s of this kind",
        f"memory    about {found.memory_bytes / 1e6:,.0f} MB{free}",
        f"disk      up to {found.ledger_bytes / 1e6:,.0f} MB for the ledger",
        f"time      about {found.real_s:,.0f} s",
    ]
    if text := too_fast(found):
        result.append(f"WARNING   {text}")
    if text := too_much(scenario, found, free_bytes):
        result.append(f"WARNING   {text}")
    return result
