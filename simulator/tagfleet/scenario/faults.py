"""What goes wrong in a scenario, and when: one table `[[fault]]` each."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tagfleet.scenario.quantities import seconds, share

MANY_HUBS = 60_000  # the ledger holds a hub in 16 bits


def _positive(span_s: float) -> float:
    if span_s <= 0:
        raise ValueError("has to be longer than 0 s")
    return span_s


def _not_negative(span_s: float) -> float:
    if span_s < 0:
        raise ValueError("cannot be negative")
    return span_s


Span = Annotated[float, BeforeValidator(seconds), AfterValidator(_positive)]
Moment = Annotated[float, BeforeValidator(seconds), AfterValidator(_not_negative)]
Step = Annotated[float, BeforeValidator(seconds)]
Share = Annotated[float, BeforeValidator(share)]
Which = Annotated[str | int, Field(description='which hubs: "all", "7", "1-20", "1-3, 8"')]


class Section(BaseModel):
    """Unknown keys are errors: a mistyped one must not silently leave its default in force."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Timed(Section):
    """Something that begins at a moment and lasts."""

    at: Moment = Field(description="when it begins, from the run's start, in the run's own time")
    lasts: Span = Field(description="how long")

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at + self.lasts


class DeadZone(Timed):
    """Trucks drive where no mobile network is: the link of their hubs to the broker is away."""

    kind: Literal["dead_zone"]
    hubs: Which = "all"
    silent: bool = Field(True, description="nobody is told: packets vanish; false: connections are reset")


class BrokerOutage(Section):
    """The broker is away. When it comes back, every hub reconnects at once: the storm is part of it."""

    kind: Literal["broker_outage"]
    at: Moment = Field(description="when it begins, from the run's start, in the run's own time")
    lasts: Span | None = Field(None, description="how long; without it the broker never comes back")
    how: Literal["stop", "kill", "cut"] = Field(
        "stop", description="a broker that this run has started is stopped or killed; cut: only the hubs' links are"
    )

    @property
    def end_s(self) -> float | None:
        """When it is over; None: never."""
        return None if self.lasts is None else self.at + self.lasts


class HubReboot(Timed):
    """Hubs lose power and come back: what was not committed is gone, and nobody listens meanwhile."""

    kind: Literal["hub_reboot"]
    hubs: Which = "all"


class ClockError(Timed):
    """The clock of hubs is wrong, and they do not know the time for certain."""

    kind: Literal["clock_error"]
    hubs: Which = "all"
    step: Step = Field(description='by how much: "-2 h" is two hours slow')


class BrokenSensor(Timed):
    """Sensors of some tags fail. What they then deliver is what a sample has to say."""

    kind: Literal["broken_sensor"]
    tags: Share = Field(description="share of the tags, chosen by the seed")
    symptom: Literal["silent", "stuck", "offset"] = Field(
        "silent", description="no answer on the bus; always the same value; a wrong one by offset_c"
    )
    offset_c: float = Field(10.0, ge=-100, le=100, description="degrees that an offset sensor is wrong by")


class DyingBatteries(Timed):
    """Batteries of some tags run down and end, each at its own moment within the time."""

    kind: Literal["dying_batteries"]
    tags: Share = Field(description="share of the tags, chosen by the seed")


class CoolerFailure(Timed):
    """Coolers of trucks or depots fail: what is chilled or frozen there warms up, and every sample has to say so."""

    kind: Literal["cooler_failure"]
    hubs: Which = Field("all", description="of the places where these hubs are")


class ReplayAttack(Timed):
    """Somebody records beacons beside a hub and sends them again."""

    kind: Literal["replay_attack"]
    hubs: Which = "all"
    per_s: float = Field(5.0, gt=0, le=10_000, description="recordings sent a second, at each of the hubs")


class Intruders(Section):
    """What else is in the air beside hubs: other makers' advertisements, and people who forge, cut and replay ours."""

    kind: Literal["intruders"]
    at: Moment = Field(0.0, description="when it begins, from the run's start, in the run's own time")
    lasts: Span | None = Field(None, description="how long; without it to the end")
    hubs: Which = "all"
    per_s: float = Field(3.0, gt=0, le=10_000, description="advertisements a second, at each of the hubs")

    @property
    def end_s(self) -> float | None:
        """When it is over; None: never."""
        return None if self.lasts is None else self.at + self.lasts


class ClonedTags(Timed):
    """Some tags have a twin that was made from a copy of their flash: the same id, keys and counters, other values."""

    kind: Literal["cloned_tags"]
    tags: Share = Field(description="share of the tags, chosen by the seed")


Fault = Annotated[
    DeadZone
    | BrokerOutage
    | HubReboot
    | ClockError
    | BrokenSensor
    | CoolerFailure
    | DyingBatteries
    | ReplayAttack
    | Intruders
    | ClonedTags,
    Field(discriminator="kind"),
]
LINK_FAULTS = (DeadZone, BrokerOutage)
