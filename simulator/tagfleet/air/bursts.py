"""Bursts that are to come: a sample's first one and its repeats, as runs that share the sample's columns. Pure."""

import heapq
from typing import NamedTuple

import numpy as np

from tagfleet.flock import Samples
from tagfleet.radio import addresses, advertised_ids
from tagfleet.world.noise import Ints
from tagwire.bulk import Bytes2D


class Bursts(NamedTuple):
    """Bursts, one a row: tag (index in the flock), its index in the world, the sample's identity, which of its bursts
    this is (0: the first), when it starts, and what is advertised from which address."""

    tags: Ints
    world_tags: Ints
    tag_ids: Ints
    counters: Ints
    repeats: Ints
    start_us: Ints
    addresses: Bytes2D
    adv_data: Bytes2D

    def select(self, rows: Ints | slice) -> "Bursts":
        """Some of them."""
        return Bursts(
            self.tags[rows],
            self.world_tags[rows],
            self.tag_ids[rows],
            self.counters[rows],
            self.repeats[rows],
            self.start_us[rows],
            self.addresses[rows],
            self.adv_data[rows],
        )

    @staticmethod
    def joined(parts: "list[Bursts]") -> "Bursts":
        """All of some parts (at least one), in order."""
        if len(parts) == 1:
            return parts[0]
        return Bursts(
            np.concatenate([part.tags for part in parts]),
            np.concatenate([part.world_tags for part in parts]),
            np.concatenate([part.tag_ids for part in parts]),
            np.concatenate([part.counters for part in parts]),
            np.concatenate([part.repeats for part in parts]),
            np.concatenate([part.start_us for part in parts]),
            np.concatenate([part.addresses for part in parts]),
            np.concatenate([part.adv_data for part in parts]),
        )


def first_bursts(samples: Samples) -> Bursts:
    """The first burst of each sample, which begins as it is made."""
    return Bursts(
        samples.tags,
        samples.world_tags,
        samples.tag_ids,
        samples.counters,
        np.zeros(len(samples.tags), np.int64),
        samples.t_us,
        addresses(advertised_ids(samples)),
        samples.adv_data,
    )


class BurstQueue:
    """Samples' bursts until their time: `repeats` further ones, spread over the interval until their tag's next sample.

    burst_us: how long one lasts; where it does not fit that often, there is only the first. It holds what is advertised
    once per sample, until its last burst has begun; of samples with different intervals more often.
    """

    def __init__(self, repeats: int, burst_us: int) -> None:
        self._repeats = repeats
        self._burst_us = burst_us
        self._runs: list[tuple[int, int, int, Bursts]] = []  # next start, order of arrival, rows done, the run
        self._arrivals = 0
        self.waiting = 0
        """Bursts that are to come."""

    def add(self, bursts: Bursts, intervals_us: Ints) -> None:
        """First bursts, in order of time, and how long it is to the next sample of each one's tag."""
        if not len(bursts.tags):
            return
        slots_us = intervals_us // (1 + self._repeats)
        even = bool((slots_us == slots_us[0]).all())
        for repeat in range(self._repeats + 1):
            later = bursts._replace(repeats=bursts.repeats + repeat, start_us=bursts.start_us + repeat * slots_us)
            if repeat and not even:
                order = np.argsort(later.start_us, kind="stable")
                later = later.select(order[slots_us[order] >= self._burst_us])
            elif repeat and slots_us[0] < self._burst_us:
                break
            if len(later.tags):
                heapq.heappush(self._runs, (int(later.start_us[0]), self._arrivals, 0, later))
            self._arrivals += 1
            self.waiting += len(later.tags)

    def take(self, until_us: int) -> Bursts | None:
        """The bursts that start up to then, in order of time; None when there are none."""
        parts = []
        while self._runs and self._runs[0][0] <= until_us:
            _, arrival, done, run = heapq.heappop(self._runs)
            end = int(np.searchsorted(run.start_us, until_us, "right"))
            parts.append(run.select(slice(done, end)))
            if end < len(run.tags):
                heapq.heappush(self._runs, (int(run.start_us[end]), arrival, end, run))
        if not parts:
            return None
        bursts = Bursts.joined(parts)
        self.waiting -= len(bursts.tags)
        return bursts.select(np.lexsort((bursts.tag_ids, bursts.start_us)))
