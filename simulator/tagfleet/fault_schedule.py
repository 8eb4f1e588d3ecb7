"""A scenario's faults of hubs, links and broker as actions in order of time. Pure."""

from collections.abc import Sequence
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
                skew_us = round(fault.step * 1e6)
                text = f"clock {duration_text(abs(fault.step))} {'slow' if fault.step < 0 else 'fast'}: {who}"
                found.append(Action(fault.at, CLOCK, chosen, skew_us, text))
                found.append(Action(fault.end_s, CLOCK, chosen, 0, f"clock right again: {who}"))
            case _:
                found.append(Action(fault.at, "", (), 0, f"{_of_tags(fault, who)}, for {duration_text(fault.lasts)}"))
    return sorted(found, key=lambda action: action.moment_s)


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
