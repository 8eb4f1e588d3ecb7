"""A scenario in parts, for several machines: each some of the hubs, with their tags. Pure."""

from tagfleet.scenario.errors import Problem, ScenarioError
from tagfleet.scenario.faults import Fault
from tagfleet.scenario.model import Scenario
from tagfleet.scenario.quantities import numbers


def shard(scenario: Scenario, number: int, of: int) -> Scenario:
    """Part `number` (from 1) of so many: its hubs are a site of their own, "SITE-NUMBER", in a world of their own; its
    tags have ids that no other part has. Faults strike the hubs that they name. Raises ScenarioError."""
    if not 1 <= number <= of:
        raise ScenarioError("--shard", [Problem(0, "", f"{number}/{of}: the first is 1/{of}, the last {of}/{of}")])
    if of > scenario.hubs.count or scenario.tags.twins or scenario.hubs.addresses:
        text = (
            f"{scenario.hubs.count} hubs do not make {of} shards, or it has twins or addresses, which cannot be parted"
        )
        raise ScenarioError("--shard", [Problem(0, "hubs.count", text)])
    first_hub, end_hub = (scenario.hubs.count * part // of for part in (number - 1, number))
    first_tag, end_tag = (scenario.tags.count * part // of for part in (number - 1, number))
    hubs = scenario.hubs.model_copy(update={"count": end_hub - first_hub, "site": f"{scenario.hubs.site}-{number}"})
    tags = scenario.tags.model_copy(
        update={"count": end_tag - first_tag, "first_id": scenario.tags.first_id + first_tag}
    )
    run = scenario.run.model_copy(update={"seed": (scenario.run.seed * 65_537 + number) & 0xFFFF_FFFF})
    faults: list[Fault] = []
    for fault in scenario.fault:
        which = getattr(fault, "hubs", None)
        if which is None or which == "all":
            faults.append(fault)
            continue
        here = [hub - first_hub for hub in numbers(which, scenario.hubs.count) if first_hub < hub <= end_hub]
        if here:
            faults.append(fault.model_copy(update={"hubs": ", ".join(map(str, here))}))
    return scenario.model_copy(update={"hubs": hubs, "tags": tags, "run": run, "fault": faults})
