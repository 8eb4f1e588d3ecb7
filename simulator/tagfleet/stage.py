"""A scenario's cast: world, flock, keys, air, ledger, target. Built from the seed, before anything runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagfleet.air import Air
from tagfleet.duty import duty_of
from tagfleet.fault_schedule import Action, actions
from tagfleet.flock import Flock, UnsealedFlock
from tagfleet.identity import FIRST_TWIN_ID, make_provisions
from tagfleet.intruder import Intruder
from tagfleet.journals import Journals, journal_of
from tagfleet.ledger import Ledger
from tagfleet.links import FlockLinks, LinkSettings
from tagfleet.plain_air import PlainAir
from tagfleet.radio import RadioSettings
from tagfleet.replayer import Replayer
from tagfleet.scenario import Scenario
from tagfleet.scenario.faults import CoolerFailure, Intruders, ReplayAttack
from tagfleet.scenario.quantities import numbers
from tagfleet.tag_faults import TagFaults
from tagfleet.targets import AirTarget, InsideTarget, TaghubTarget, Target
from tagfleet.traffic import Attack, DirectTraffic, Traffic
from tagfleet.twin import interpreter_available
from tagfleet.twins import twin_provisions
from tagfleet.world.network import read_network
from tagfleet.world.noise import Ints
from tagfleet.world.world import World, WorldSettings, make_world
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.keyring import KeyringEntry, entry_from_provision
from tagwire.provision import Provision


class Cast(NamedTuple):
    """Who takes part. keyrings: for each hub the indices in `provisions` of the tags that come by. links: the tags' end
    of connections, None where hubs get none."""

    world: World
    flock: Flock
    provisions: list[Provision]
    twins: list[Provision]
    hub_of_place: Ints
    keyrings: dict[int, Ints]
    ledger: Ledger
    faults: TagFaults
    schedule: list[Action]
    links: FlockLinks | None


def twins_of(scenario: Scenario, interpreter: str | None) -> list[Provision]:
    """Provisions of the twins, none where there is no interpreter."""
    if not scenario.tags.twins or interpreter_available(interpreter) is None:
        return []
    tags = scenario.tags
    return twin_provisions(scenario.run.seed, FIRST_TWIN_ID, tags.twins, round(tags.interval), tags.settings)


def build(
    scenario: Scenario, start_us: int, start_real_us: int, twins: Sequence[Provision], folder: Path | None
) -> Cast:
    """The cast of a scenario; twins are the first tags of its world, and the ledger knows them too."""
    run, tags, hubs = scenario.run, scenario.tags, scenario.hubs
    start_s = start_us / 1e6
    world = _world(scenario, len(twins), start_s)
    hub_of_place = np.arange(world.places, dtype=np.int64) % hubs.count
    faults = TagFaults(scenario.fault, tags.count, run.seed, start_s)
    alter = faults.alter if faults.some else None
    provisions: list[Provision] = []
    if hubs.target == "batches":
        ids = np.arange(tags.first_id, tags.first_id + tags.count, dtype=np.int64)
        flock: Flock = UnsealedFlock(ids, world, tags.interval, start_s, alter)
        keyrings: dict[int, Ints] = {}
    else:
        provisions = make_provisions(run.seed, tags.first_id, tags.count, settings=tags.settings)
        journals = None
        if tags.history:
            journals = Journals(tags.count, journal_of(tags.settings, scenario.air.burst_repeats))
        flock = Flock(provisions, world, tags.interval, start_s, len(twins), alter, journals)
        keyrings = _routes(scenario, world, hub_of_place, start_s, len(twins))
        if hubs.target == "hci":  # the virtual link reaches everybody, also who lies by the road
            keyrings = {0: np.arange(tags.count, dtype=np.int64)}
    twin_ids = np.array([twin.tag_id for twin in twins], np.int64)
    ledger = Ledger(
        np.concatenate([twin_ids, flock.tag_ids]),
        np.concatenate([np.zeros(len(twins), np.int64), flock.first_counters]),
        start_us,
        start_real_us,
        scenario.samples_per_tag,
        folder,
    )
    links = None
    if flock.journals is not None:
        dead_s = faults.dead_s + start_s
        settings = LinkSettings(connect_s=scenario.air.connect, loss_per_s=scenario.air.link_loss)
        links = FlockLinks(flock, provisions, world, hub_of_place, settings, lambda tag, t_s: bool(t_s < dead_s[tag]))
    schedule = actions(scenario.fault, hubs.count)
    return Cast(world, flock, provisions, list(twins), hub_of_place, keyrings, ledger, faults, schedule, links)


def traffic_of(scenario: Scenario, cast: Cast, start_us: int, traced: bool) -> Traffic | DirectTraffic:
    """What the tags of a cast will do."""
    if scenario.hubs.target == "batches":
        return DirectTraffic(cast.flock, cast.world, cast.hub_of_place, cast.ledger, cast.faults, traced)
    section = scenario.air
    if section.model == "full":
        settings = section.settings(scenario.tags.interval)
        air: Air | PlainAir = Air(settings, cast.world, cast.hub_of_place)
        longest_s = duty_of(scenario.tags.settings, scenario.tags.interval).longest_interval_s
        cast.ledger.comparison.repeated_s = longest_s * settings.burst_repeats / (1 + settings.burst_repeats)
    else:
        plain = RadioSettings(
            burst_events=section.burst_events,
            received_share=section.received_share,
            distance_m=section.distance_m,
            path_loss_exponent=section.path_loss_exponent,
            shadowing_db=5.0 if section.shadowing_db is None else section.shadowing_db,
        )
        air = PlainAir(plain, cast.world, cast.hub_of_place, section.reports == "first")
    return Traffic(
        cast.flock,
        air,
        cast.world,
        cast.hub_of_place,
        cast.ledger,
        cast.faults,
        _attacks(scenario),
        scenario.run.seed,
        start_us,
        traced,
    )


def _attacks(scenario: Scenario) -> list[Attack]:
    """Who sends what at which hubs; each of them with dice of its own."""
    found = []
    for number, fault in enumerate(scenario.fault):
        if isinstance(fault, (ReplayAttack, Intruders)):
            seed = scenario.run.seed + number
            attacker = Replayer(seed) if isinstance(fault, ReplayAttack) else Intruder(seed, COMPANY_ID_TEST)
            found.append(Attack(fault, [hub - 1 for hub in numbers(fault.hubs, scenario.hubs.count)], attacker))
    return found


def target_of(
    scenario: Scenario, cast: Cast, broker: tuple[str, int], start_us: int, folder: Path, hci_transport: str | None
) -> Target:
    """The hubs that a scenario is aimed at."""
    hubs = scenario.hubs
    if hubs.target == "air":
        return AirTarget(hubs.addresses, cast.links)
    if hubs.target in ("taghub", "hci"):
        return TaghubTarget(scenario, broker, _keyring_entries(cast), folder, hci_transport, cast.links)
    keys = {
        hub: [(cast.provisions[i].tag_id, cast.provisions[i].generation, cast.flock.keys[i]) for i in indices.tolist()]
        for hub, indices in cast.keyrings.items()
    }
    return InsideTarget(scenario, broker, keys, start_us, folder)


def _keyring_entries(cast: Cast) -> dict[int, list[KeyringEntry]]:
    """What each hub may open; hub ids for sessions count from 1. Twins come by the first one."""
    entries = {
        hub: [entry_from_provision(cast.provisions[i], hub + 1) for i in indices.tolist()]
        for hub, indices in cast.keyrings.items()
    }
    entries[0] = [entry_from_provision(twin, 1) for twin in cast.twins] + entries.get(0, [])
    return entries


def _routes(scenario: Scenario, world: World, hub_of_place: Ints, start_s: float, twins: int) -> dict[int, Ints]:
    """Which tags of the flock come by which hub in the course of the run, also while a truck loads."""
    tags, places = world.visits(start_s, start_s + scenario.run.duration)
    flock = (tags >= twins) & (places >= 0)
    pairs = np.unique(hub_of_place[places[flock]] << 32 | (tags[flock] - twins))
    hubs, tags = pairs >> 32, pairs & 0xFFFFFFFF
    present, starts = np.unique(hubs, return_index=True)
    return dict(zip(present.tolist(), np.split(tags, starts[1:]), strict=True))


def _world(scenario: Scenario, twins: int, start_s: float) -> World:
    """Hub i is at place i of the world; where a world has more places than a scenario hubs, they share."""
    section, tags, hubs = scenario.world, twins + scenario.tags.count, scenario.hubs.count
    failures = tuple(
        (hub - 1, start_s + fault.at, start_s + fault.end_s)
        for fault in scenario.fault
        if isinstance(fault, CoolerFailure)
        for hub in numbers(fault.hubs, hubs)
    )
    return make_world(
        WorldSettings(
            scenario.run.seed,
            tags,
            section.tags_per_place or tags / hubs,
            section.depot_share,
            None if section.network is None else read_network(section.network.read_text("utf-8")),
            section.straight,
            (section.parcels, section.chilled, section.frozen),
            section.lost_share,
            section.cooler_failures_per_week,
            failures,
            section.battery_life_days,
        )
    )
