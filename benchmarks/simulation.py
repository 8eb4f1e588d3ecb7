"""The simulator's own speed: the world, the air, and what a tag of the flock costs in memory."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.figure import Figure
from tagfleet.air import Air, AirSettings
from tagfleet.air.experiments import steady
from tagfleet.flock import Samples
from tagfleet.world.world import World, build_world

WORLD_TAGS = 100_000
STEP_S, STEPS = 300.0, 12
AIR_TAGS = 50_000
AIR_SPAN_S = 60
START_S = 1_774_000_000


def figures(runs: int) -> Iterator[Figure]:
    """world_ns_per_tag_step, air_adverts_per_s."""
    world = build_world(1, WORLD_TAGS)
    yield Figure(
        "world_ns_per_tag_step",
        "ns",
        "lower",
        150,
        [_world_ns_per_tag_step(world, run) for run in range(runs)],
        f"what surrounds each of {WORLD_TAGS} tags, each at its own moment of a step of 5 minutes, one core",
    )
    yield Figure(
        "air_adverts_per_s",
        "1/s",
        "higher",
        1_000_000,
        [_air_adverts_per_s() for _ in range(runs)],
        f"advertising events decided for the hubs in reach, one core: {AIR_TAGS} tags, default settings, 1 s steps",
    )


def _world_ns_per_tag_step(world: World, run: int) -> float:
    tags = np.arange(WORLD_TAGS)
    moments_s = START_S + run * STEPS * STEP_S + np.random.default_rng(run).random(WORLD_TAGS) * STEP_S
    world.environments(tags, moments_s - STEP_S)
    started = time.perf_counter()
    for step in range(STEPS):
        world.environments(tags, moments_s + step * STEP_S)
    return (time.perf_counter() - started) / STEPS / WORLD_TAGS * 1e9


def _air_adverts_per_s() -> float:
    samples = steady(AIR_TAGS, AIR_SPAN_S, 1, 1)
    air = Air(AirSettings(interval_s=float(AIR_SPAN_S)), build_world(1, AIR_TAGS))
    started = time.perf_counter()
    first = 0
    for second in range(AIR_SPAN_S + 1):
        until_us = (START_S + second) * 1_000_000
        end = int(np.searchsorted(samples.t_us, until_us, "right"))
        parts = [c[first:end] for c in samples[:4]], [c[first:end] for c in samples[5:]]
        some = Samples._make([*parts[0], samples.readings, *parts[1]])
        air.hear(some, until_us)
        first = end
    return air.events / (time.perf_counter() - started)
