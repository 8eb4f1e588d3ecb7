"""A scenario's faults of hubs, links and broker as actions in order of time. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tagfleet.scenario.faults import (
    BrokenSensor,
    BrokerOutage,
    ClockError,
    ClonedTags,
    CoolerFailure,
    DeadZone,
    DyingBatteries,
    Fault,
    HubReboot,
    Intruders,
    ReplayAttack,
)
from tagfleet.scenario.quantities import duration_text, numbers

CUT, SILENCE, JOIN, CRASH, START, CLOCK, BROKER_STOP, BROKER_KILL, BROKER_START = (
    "cut",
    "silence",
    "join",
    "crash",
    "start",
    "clock",
    "broker_stop",
    "broker_kill",
    "broker_start",
)


class Action(NamedTuple):
    """moment_s: of the run. do: one of the words above. hubs: from 0. skew_us: for CLOCK. text: for people."""

    moment_s: float
    do: str
    hubs: tuple[int, ...]
    skew_us: int
    text: str


def actions(faults: Sequence[Fault], hubs: int) -> list[Action]:
    """What to do when."""
    found: list[Action] = []
    for fault in faults:
        chosen = tuple(hub - 1 for hub in numbers(getattr(fault, "hubs", "all"), hubs))
        who = "the hub" if hubs == 1 else f"{len(chosen)} of {hubs} hubs"
        match fault:
            case DeadZone():
                do, how = (SILENCE, "silently") if fault.silent else (CUT, "by a reset")
                found.append(Action(fault.at, do, chosen, 0, f"dead zone: {who} without a link, {how}"))
                found.append(Action(fault.end_s, JOIN, chosen, 0, f"dead zone over: {who}"))
            case BrokerOutage(how="cut"):
                found.append(Action(fault.at, CUT, chosen, 0, "broker out of reach of all hubs"))
                if fault.end_s is not None:
                    found.append(Action(fault.end_s, JOIN, chosen, 0, "broker in reach again"))
            case BrokerOutage():
                do = BROKER_KILL if fault.how == "kill" else BROKER_STOP
                found.append(Action(fault.at, do, (), 0, f"broker {'killed' if fault.how == 'kill' else 'stopped'}"))
                if fault.end_s is not None:
                    found.append(Action(fault.end_s, BROKER_START, (), 0, "broker started again"))
            case HubReboot():
                found.append(Action(fault.at, CRASH, chosen, 0, f"power lost: {who}"))
                found.append(Action(fault.end_s, START, chosen, 0, f"power back: {who}"))
            case ClockError():
                found += [*_set_clocks(faults, fault.at, chosen, hubs), *_set_clocks(faults, fault.end_s, chosen, hubs)]
            case Intruders():
                text = f"forged, replayed and foreign advertisements, {fault.per_s:g} a second: beside {who}"
                found.append(Action(fault.at, "", (), 0, text))
            case _:
                found.append(Action(fault.at, "", (), 0, f"{_of_tags(fault, who)}, for {duration_text(fault.lasts)}"))
    return sorted(found, key=lambda action: action.moment_s)


def _set_clocks(faults: Sequence[Fault], moment_s: float, chosen: Sequence[int], hubs: int) -> Iterator[Action]:
    """What the clocks of some hubs are set to. Of several errors, the one that began last is what a clock shows."""
    step_s = dict.fromkeys(chosen, 0.0)
    errors = [fault for fault in faults if isinstance(fault, ClockError) and fault.at <= moment_s < fault.end_s]
    for error in sorted(errors, key=lambda one: one.at):
        step_s |= {hub - 1: error.step for hub in numbers(error.hubs, hubs) if hub - 1 in step_s}
    for step in sorted(set(step_s.values())):
        these = tuple(hub for hub in chosen if step_s[hub] == step)
        how = f"{duration_text(abs(step))} {'slow' if step < 0 else 'fast'}" if step else "right again"
        who = "the hub" if hubs == 1 else f"{len(these)} of {hubs} hubs"
        yield Action(moment_s, CLOCK, these, round(step * 1e6), f"clock {how}: {who}")


def _of_tags(fault: BrokenSensor | CoolerFailure | ClonedTags | DyingBatteries | ReplayAttack, who: str) -> str:
    """What goes wrong around hubs, for people; nobody has to act."""
    match fault:
        case BrokenSensor(symptom="offset"):
            return f"sensors wrong by {fault.offset_c:+g} degrees: {100 * fault.tags:g} % of the tags"
        case BrokenSensor():
            return f"sensors {fault.symptom}: {100 * fault.tags:g} % of the tags"
        case CoolerFailure():
            return f"coolers fail: where {who} {'is' if who == 'the hub' else 'are'}"
        case DyingBatteries():
            return f"batteries run down and end: {100 * fault.tags:g} % of the tags"
        case ClonedTags():
            return f"clones of {100 * fault.tags:g} % of the tags"
        case ReplayAttack():
            return f"recordings sent again, {fault.per_s:g} a second: beside {who}"


ENDS_OF_OUTAGES = (JOIN, START, BROKER_START)
