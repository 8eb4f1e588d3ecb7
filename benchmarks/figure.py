"""A figure: what was measured, in several runs, beside its peers in the same runs."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """One line of build/bench.json.

    values: one per run. peers: name to the peer's values in the same runs. goal: for the value; None where there is
    none. peer_goals: name to the ratio to reach. about: what exactly was measured, for a reader of the table.
    """

    name: str
    unit: str
    better: str  # "higher" or "lower"
    goal: float | None
    values: Sequence[float]
    about: str
    peers: Mapping[str, Sequence[float]] = {}
    peer_goals: Mapping[str, float] = {}

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """The runs' range as a share of their median."""
        return (max(self.values) - min(self.values)) / self.value if self.value else 0.0

    def ratio(self, peer: str) -> float:
        """How many times better than a peer this is."""
        ratio = self.value / median(self.peers[peer])
        return ratio if self.better == "higher" else 1 / ratio

    @property
    def reached(self) -> bool:
        """Whether the goal, and each peer's, is reached."""
        good = self.goal is None or (self.value >= self.goal if self.better == "higher" else self.value <= self.goal)
        return good and all(self.ratio(peer) >= goal for peer, goal in self.peer_goals.items() if peer in self.peers)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "better": self.better,
            "goal": self.goal,
            "peers": [
                {
                    "name": peer,
                    "value": round(median(values), 3),
                    "ratio": round(self.ratio(peer), 3),
                    "goal": self.peer_goals.get(peer),
                }
                for peer, values in self.peers.items()
            ],
            "runs": len(self.values),
            "spread": round(self.spread, 3),
            "about": self.about,
        }


def per_second(count: int, prepare: Callable[[], Any], work: Callable[[Any], Any]) -> float:
    """`count` things done by one call of `work`, per second of wall time; what `prepare` does is not measured."""
    prepared = prepare()
    gc.collect()
    started = time.perf_counter()
    work(prepared)
    return count / (time.perf_counter() - started)


def interleaved(runs: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each measure once a run, in turn, so that a noisy neighbour disturbs all alike. The first round only warms up."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for run in range(runs + 1):
        for name, measure in measures.items():
            value = measure()
            if run:
                values[name].append(value)
    return values
