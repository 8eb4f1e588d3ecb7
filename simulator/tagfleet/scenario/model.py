"""The settings of a scenario: every key, with its unit, its default and what it means."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tagfleet.air import AirSettings
from tagfleet.identity import FIRST_FLOCK_ID
from tagfleet.scenario.faults import (
    LINK_FAULTS,
    MANY_HUBS,
    BrokerOutage,
    ClockError,
    ClonedTags,
    Fault,
    HubReboot,
    Intruders,
    ReplayAttack,
    Section,
    Share,
    Span,
)
from tagfleet.scenario.quantities import Amount, amount, duration_text, numbers, speed
from tagfleet.scenario.tag_settings import PRIVATE_IDS, problem
from tagfleet.world.network import NetworkError, read_network
from taghub.settings import MqttSettings, TlsSettings
from tagwire.batch import SAFE_SAMPLES

TWINS_MAX = 20
TAGHUBS_MAX = 50  # each is a process of some 60 MB
RUN_D_MAX = 366
BATCH_AGES_S = 0.05, 3_600  # what a hub's settings take
SAMPLES_PER_TAG_MAX = 1 << 24  # a counter's sequence
YEARS = range(1990, 2095)  # times are 32 bits from 1970 on, and a hub's clock may be ten years wrong
HCI_TAGS_MAX = 100  # bumble's virtual link carries about so many in one process

Speed = Annotated[float, BeforeValidator(speed)]
Limit = Annotated[Amount, BeforeValidator(amount)]


def _in_utc(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"has to be within the years {YEARS[0]} and {YEARS[-1]}")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _one_line(title: str) -> str:
    if not title.isprintable():
        raise ValueError("has to be one line of printable characters")
    return title


def _air_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not (address.startswith("unix:") and len(address) > 5) and not (host and port.isdecimal() and len(port) < 6):
        raise ValueError(f'{address!r} is no address: write "HOST:PORT" or "unix:PATH"')
    return address


class RunSection(Section):
    """How long, how fast, and which dice."""

    duration: Span = Field(description="how long samples are made, in the run's own time")
    time: Speed = Field(1.0, description='"real"; "60x": compressed; "fast": as fast as it can')
    seed: int = Field(1, ge=0, le=0xFFFF_FFFF, description="the same seed makes the same tags, trucks, weather, faults")
    start: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        None, description="what time it is when the run starts, UTC; default: now"
    )
    drain: Span = Field(30.0, description="how long to wait, in real time, for what is on its way at the end")
    lag_max: Span = Field(
        5.0, description="how far the generator may be behind its schedule, in real time, before the run is void"
    )


class TagsSection(Section):
    """The tags."""

    count: int = Field(ge=1, le=5_000_000, description="tags of the flock")
    interval: Span = Field(300.0, description="from sample to sample of a tag")
    first_id: int = Field(FIRST_FLOCK_ID, ge=FIRST_FLOCK_ID, le=0xF000_0000, description="id of the first one")
    twins: int = Field(0, ge=0, le=TWINS_MAX, description="tags that run the real firmware under MicroPython")
    history: bool = Field(
        False,
        description="tags answer hubs that connect to them: couriers fetch what was not heard, while the run lasts",
    )
    settings: dict[str, int | bool | str] = Field(
        {},
        description="what tags are provisioned with, in the firmware's names and units: limits that make alarms, "
        "intervals at rest and in alarm, when to search for a fix, private_ids",
    )


class HubsSection(Section):
    """The gateways, and how they are reached."""

    count: int = Field(1, ge=1, le=MANY_HUBS, description="hubs; each has a truck's or a depot's tags")
    target: Literal["inside", "taghub", "air", "hci", "batches"] = Field(
        "inside",
        description="inside: each hub's real intake, spool and uplink, in worker processes; taghub: a `taghub run` "
        "process each; air: hubs that run already, at `addresses`; hci: taghub processes with a Bluetooth controller; "
        "batches: no hubs, only what they would publish",
    )
    addresses: list[Annotated[str, AfterValidator(_air_address)]] = Field(
        [], description='for target air: "HOST:PORT" or "unix:PATH", one a hub'
    )
    batch_age: Span = Field(1.0, description="a batch is closed so long after its first sample")
    batch_samples: int = Field(SAFE_SAMPLES, ge=1, le=SAFE_SAMPLES, description="or when it has so many")
    spool: Literal["full", "normal", "memory"] = Field(
        "normal", description="durability of the spool on disk, or in memory only"
    )
    inflight: int = Field(8, ge=1, le=100, description="batches sent and not yet acknowledged, at most")
    connections: int = Field(1, ge=1, le=16, description="taghub: connections to tags at once, of each hub")
    air_time_share: Share = Field(0.2, gt=0, description="taghub: of a radio's time that may go into connections")
    workers: int = Field(0, ge=0, le=256, description="processes for hubs inside; 0: by the machine")
    site: str = Field("fleet", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="name of the site in MQTT topics")


class BrokerSection(Section):
    """The MQTT broker: one that the run starts and ends, or any other that is running."""

    start: Literal["auto", "mosquitto", "embedded", "none"] = Field(
        "auto", description="auto: mosquitto where it is installed, else the embedded one; none: it runs at `host`"
    )
    persistence: bool = Field(True, description="mosquitto keeps its messages on disk")
    host: str | None = Field(None, description="name or address of a broker that is running")
    port: int = Field(1883, ge=1, le=65535, description="its TCP port")
    username: str | None = None
    password_file: Path | None = Field(None, description="file whose first line is the password")
    protocol: Literal["5", "3.1.1"] = "5"
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "BrokerSection":
        if (self.host is None) == (self.start == "none"):
            raise ValueError('start = "none" and host belong together: both for a broker that runs already, or neither')
        return self

    def files(self) -> list[tuple[tuple[str, ...], Path]]:
        """The files that it names, with their keys."""
        tls = self.tls or TlsSettings.model_validate({})
        named: list[tuple[tuple[str, ...], Path | None]] = [(("broker", "password_file"), self.password_file)]
        named += [(("broker", "tls", name), getattr(tls, name)) for name in ("ca_file", "cert_file", "key_file")]
        return [(key, path) for key, path in named if path is not None]

    def mqtt(self, host: str, port: int, keepalive_s: int = 5, inflight: int = 8) -> MqttSettings:
        """As a hub is told."""
        return MqttSettings.model_validate(
            {
                "host": host,
                "port": port,
                "username": self.username,
                "password_file": self.password_file,
                "protocol": self.protocol,
                "tls": self.tls,
                "keepalive_s": keepalive_s,
                "inflight": inflight,
                "wait_for_broker": True,
            }
        )


class WorldSection(Section):
    """Trucks, depots and goods; see simulator/README.md, "The world"."""

    depot_share: Share = Field(0.2, description="of the hubs are in depots, the others on trucks")
    tags_per_place: float | None = Field(
        None, gt=0, description="on a truck or in a depot, on average; default: so many that each has a hub of its own"
    )
    parcels: float = Field(
        0.6, ge=0, le=1, description="share of the tags on plain parcels; with chilled and frozen ones"
    )
    chilled: float = Field(0.3, ge=0, le=1)
    frozen: float = Field(0.1, ge=0, le=1)
    lost_share: Share = Field(0.0005, description="of the rides on which a tag falls off and stays by the road")
    cooler_failures_per_week: float = Field(0.01, ge=0, le=7, description="of each place, beside those of faults")
    battery_life_days: float = Field(200.0, gt=0, le=36_500)
    network: Path | None = Field(None, description="a road network file; default: the one that comes with tagfleet")
    straight: bool = Field(False, description="great circles between the network's cities instead of its roads")


class AirSection(Section):
    """The radio between tags and hubs."""

    model: Literal["full", "plain"] = Field(
        "full", description="full: channels, collisions, scan windows, interference; plain: chance alone, far cheaper"
    )
    reports: Literal["all", "first"] = Field(
        "all", description="plain: what a hub's radio reports of a burst, every event that it hears or only the first"
    )
    burst_events: int = Field(12, ge=1, le=64, description="advertising events a sample")
    burst_repeats: int = Field(2, ge=0, le=20, description="full: further bursts until the next sample")
    received_share: Share = Field(0.55, description="plain: probability that one event of a loud tag is received")
    distance_m: float = Field(13.0, ge=1, le=1_000, description="tags stand up to so far from their hub")
    path_loss_exponent: float = Field(2.03, ge=1, le=8)
    shadowing_db: float | None = Field(
        None,
        ge=0,
        le=30,
        description="standard deviation; default: 5 plain, 4 full, which fades by channel and event too",
    )
    scan_interval: Span = Field(0.01125, description="full: a hub's radio goes on to the next channel; BlueZ: 11.25 ms")
    scan_window: Span = Field(0.01125, description="full: and listens for so long of it; BlueZ's monitors: 30 of 60 ms")
    interference: Share = Field(0.15, description="full: of the time in which other radios drown everything")
    connect: Span = Field(2.0, description="until a connection to a tag is there; for tags with history")
    link_loss: Share = Field(0.002, description="of the connections that break in a second for no reason")
    capture_db: float = Field(9.0, ge=0, description="full: how much louder than others one is to survive a collision")

    def settings(self, interval_s: float) -> AirSettings:
        """As the air takes it. Raises ValueError for values that no radio has."""
        return AirSettings(
            interval_s=interval_s,
            burst_events=self.burst_events,
            burst_repeats=self.burst_repeats,
            path_loss_exponent=self.path_loss_exponent,
            truck_m=self.distance_m,
            shadowing_db=AirSettings.shadowing_db if self.shadowing_db is None else self.shadowing_db,
            scan_interval_ms=1000 * self.scan_interval,
            scan_window_ms=1000 * self.scan_window,
            interference_share=self.interference,
            capture_db=self.capture_db,
        )


class SloSection(Section):
    """What the run is held to. A limit is a count, or a share of all that were made ("0.1 %"). The classes are those of
    the ledger; `lost` is all of them together that a gateway or a broker has to answer for."""

    lost: Limit = Amount(0.0, False)
    wrong: Limit = Amount(0.0, False)
    resent: Limit | None = Field(Amount(0.0, False), description="duplicates that a hub sent in another batch")
    redelivered: Limit | None = Field(None, description="duplicates because a batch was delivered twice")
    other_hub: Limit | None = Field(None, description="duplicates because another hub heard and delivered them too")
    radio: Limit | None = Field(None, description="advertised, and no hub's radio reported them")
    mistimed: Limit | None = Field(None, description="delivered, with a time that is wrong and says so")
    cloned: Limit | None = Field(None, description="a clone's values in their place; `wrong` has them, too")
    battery: Limit | None = None
    hub_off: Limit | None = None
    refused: Limit | None = None
    uncommitted: Limit | None = None
    dropped: Limit | None = None
    vanished: Limit | None = None
    broker: Limit | None = None
    waiting: Limit | None = Field(
        Amount(0.0, False), description="still in hubs' spools at the end; no default where a person ended the run"
    )
    latency_p50: Span | None = Field(None, description="radio report to consumer, real time")
    latency_p99: Span | None = None
    latency_p999: Span | None = None
    rate_per_s: float | None = Field(None, gt=0, description="samples delivered a second of real time, at least")
    hub_cpu: Share | None = Field(None, description="of one core, what all hubs together may take on average")
    recovery: Span | None = Field(
        None, description="real time from the end of the last outage until all that was made before is delivered"
    )


class Scenario(Section):
    """Everything a run is told."""

    title: Annotated[str, AfterValidator(_one_line)] = Field(
        min_length=1, max_length=100, description="one line for `tagfleet list`"
    )
    about: str = Field("", description="what it is for, and what it asserts")
    run: RunSection
    tags: TagsSection
    hubs: HubsSection = HubsSection.model_validate({})
    broker: BrokerSection = BrokerSection.model_validate({})
    world: WorldSection = WorldSection.model_validate({})
    air: AirSection = AirSection.model_validate({})
    slo: SloSection = SloSection.model_validate({})
    fault: list[Fault] = Field([], description="what goes wrong, in any order")

    @property
    def samples_per_tag(self) -> int:
        """At most so many does a tag make: the interval jitters by 5 %, and the first comes at once. Alarms make tags
        hurry: then it may be more, and the ledger grows."""
        return int(self.run.duration / (0.95 * self.tags.interval)) + 2

    @property
    def samples(self) -> int:
        """About so many are made."""
        return int(self.tags.count * self.run.duration / self.tags.interval)

    def problems(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What does not go together, as (path of the key, text)."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        hubs, target = self.hubs, self.hubs.target
        if (target == "air") != bool(hubs.addresses):
            found.append((("hubs", "addresses"), 'belongs to target = "air", which needs one for each hub'))
        elif hubs.addresses and len(hubs.addresses) != hubs.count:
            found.append((("hubs", "addresses"), f"has {len(hubs.addresses)} for {hubs.count} hubs"))
        if target in ("taghub", "hci") and hubs.count > TAGHUBS_MAX:
            text = f'{hubs.count} taghub processes are too many (at most {TAGHUBS_MAX}); target = "inside" takes more'
            found.append((("hubs", "count"), text))
        if target == "hci" and (hubs.count > 1 or self.tags.count > HCI_TAGS_MAX):
            found.append((("hubs", "target"), f"hci takes one hub and at most {HCI_TAGS_MAX} tags"))
        if self.tags.twins and (target != "taghub" or self.run.time != 1.0):
            text = 'twins need target = "taghub", whose radio is real, and time = "real": firmware keeps its own time'
            found.append((("tags", "twins"), text))
        if self.tags.twins and self.tags.settings.get(PRIVATE_IDS):
            found.append((("tags", "twins"), f"cannot be followed under names that change ({PRIVATE_IDS})"))
        for name, value in self.tags.settings.items():
            if text := problem(name, value):
                found.append((("tags", "settings"), text))
        if self.tags.settings and target == "batches":
            found.append((("tags", "settings"), 'target = "batches" has no tags that could heed them'))
        if self.tags.settings.get(PRIVATE_IDS) and target not in ("taghub", "air"):
            found.append((("tags", "settings"), f'{PRIVATE_IDS} needs target = "taghub" or "air"'))
        if self.tags.history and (target not in ("taghub", "air") or self.run.time != 1.0):
            text = 'needs target = "taghub" or "air", and time = "real": a connection takes the time it takes'
            found.append((("tags", "history"), text))
        if target in ("air", "hci") and self.run.time != 1.0:
            found.append((("run", "time"), f'has to be "real" with target = "{target}"'))
        if self.run.time == 1.0 and target in ("taghub", "air", "hci") and self.run.start is not None:
            found.append((("run", "start"), f'target "{target}" keeps its own clock: in real time it is now'))
        if self.run.time != 1.0 and self.tags.interval > self.run.duration:
            found.append((("tags", "interval"), "is longer than the run: most tags would make no sample"))
        if self.air.scan_window > self.air.scan_interval:
            found.append((("air", "scan_window"), "is longer than scan_interval"))
        elif self.air.model == "full" and target not in ("batches", "hci"):
            try:
                self.air.settings(self.tags.interval)
            except ValueError as error:
                found.append((("tags", "interval"), f'{error}; air.burst_repeats = 0 or air.model = "plain" helps'))
        if self.world.network is not None:
            try:
                read_network(self.world.network.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, NetworkError) as error:
                found.append((("world", "network"), f"{self.world.network}: {error}"))
        found += [(key, f"{path}: no such file") for key, path in self.broker.files() if not path.is_file()]
        if not self.world.parcels + self.world.chilled + self.world.frozen:
            found.append((("world", "parcels"), "parcels, chilled and frozen are all 0: there would be no tags"))
        if self.run.duration > RUN_D_MAX * 86_400:
            found.append((("run", "duration"), f"is too long; at most {RUN_D_MAX} d"))
        if self.samples_per_tag > SAMPLES_PER_TAG_MAX:
            text = f"a tag would make {self.samples_per_tag:,} samples; its counter has {SAMPLES_PER_TAG_MAX:,} numbers"
            found.append((("tags", "interval"), text))
        if not BATCH_AGES_S[0] <= self.hubs.batch_age <= BATCH_AGES_S[1]:
            found.append((("hubs", "batch_age"), "has to be within 50 ms and 1 h, as for any hub"))
        if self.run.drain > 600:
            found.append((("run", "drain"), f"{duration_text(self.run.drain)} is too long; at most 10 min"))
        return found + self._fault_problems()

    def _fault_problems(self) -> list[tuple[tuple[str | int, ...], str]]:
        found: list[tuple[tuple[str | int, ...], str]] = []
        for index, fault in enumerate(self.fault):
            where = ("fault", index)
            which = getattr(fault, "hubs", None)
            if which is not None:
                try:
                    numbers(which, self.hubs.count)
                except ValueError as error:
                    found.append(((*where, "hubs"), str(error)))
            if fault.at >= self.run.duration:
                text = f"begins when the run of {duration_text(self.run.duration)} is over"
                found.append(((*where, "at"), text))
            elif fault.end_s is not None and fault.end_s > self.run.duration:
                found.append(((*where, "lasts"), "outlives the run; samples must follow it, or nothing shows"))
            if isinstance(fault, LINK_FAULTS) and self.hubs.target in ("air", "hci"):
                text = f'target "{self.hubs.target}" has no link that this run could cut'
                found.append(((*where, "kind"), text))
            if isinstance(fault, BrokerOutage) and fault.how != "cut" and self.broker.start == "none":
                text = 'this run did not start the broker, so it can only cut its links: how = "cut"'
                found.append(((*where, "how"), text))
            if isinstance(fault, LINK_FAULTS) and self.broker.tls is not None:
                found.append(((*where, "kind"), "a link with TLS cannot be cut by this run"))
            if isinstance(fault, ClockError) and self.hubs.target != "inside":
                found.append(((*where, "kind"), 'only hubs of target = "inside" have a clock that this run can set'))
            if isinstance(fault, (ReplayAttack, Intruders, ClonedTags)) and self.hubs.target in ("batches", "hci"):
                text = f'target "{self.hubs.target}" has no air that this run could send into'
                found.append(((*where, "kind"), text))
            if isinstance(fault, HubReboot) and self.hubs.target not in ("inside", "taghub"):
                found.append(((*where, "kind"), f'target "{self.hubs.target}" has no hub to reboot'))
        return found
