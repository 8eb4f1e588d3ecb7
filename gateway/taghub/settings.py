"""The settings file: one TOML, checked as a whole before anything starts."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from taghub.errors import SettingsError
from tagwire.beacon import COMPANY_ID_TEST

MQTT_TEXT_BYTES_MAX = 0xFFFF  # MQTT 5, 1.5.4
SOCKET_PATH_BYTES_MAX = 107  # unix(7), sun_path


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a character that cannot be printed")
    return text


def _mqtt_text(text: str) -> str:
    size = len(_printable(text).encode())
    if size > MQTT_TEXT_BYTES_MAX:
        raise ValueError(f"has {size} bytes; MQTT takes at most {MQTT_TEXT_BYTES_MAX}")
    return text


def _host(text: str) -> str:
    """A name that the resolver can be asked for, or an address."""
    if " " in _printable(text):
        raise ValueError("has a space")
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError(f"no host can have this name: {text!r}") from None
    return text


def _path(path: Path) -> Path:
    _printable(str(path))
    return path


def _listen(text: str) -> str:
    if text.startswith("unix:"):
        size = len(os.fsencode(_printable(text.removeprefix("unix:"))))
        if size > SOCKET_PATH_BYTES_MAX:
            raise ValueError(f"the path has {size} bytes; a unix socket's has at most {SOCKET_PATH_BYTES_MAX}")
        return text
    host, _, port = text.rpartition(":")
    _host(host)
    if int(port) > 0xFFFF:
        raise ValueError(f"{port} is no TCP port")
    return text


TopicLevel = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
MqttText = Annotated[str, Field(min_length=1), AfterValidator(_mqtt_text)]
AnyPath = Annotated[Path, AfterValidator(_path)]


class Profile(NamedTuple):
    """What a kind of link changes: when a batch closes, how often status, presence and keep-alive go, and
    whether batches are described."""

    max_age_s: float
    status_interval_s: float
    keepalive_s: int
    describe: bool
    presence_interval_s: float


PROFILES = {
    "desk": Profile(1.0, 10.0, 5, True, 30.0),
    "truck": Profile(60.0, 3600.0, 60, False, 7200.0),
    "metered": Profile(300.0, 3600.0, 300, False, 7200.0),
}


class _Section(BaseModel):
    """Unknown keys are errors: a mistyped one must not silently leave its default in force."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HubSettings(_Section):
    """Who this hub is."""

    id: TopicLevel = Field(description="name of this hub, unique within the site; part of every topic")
    site: TopicLevel = Field(description="name of the site or fleet; part of every topic")
    company_id: int = Field(
        COMPANY_ID_TEST, ge=0, le=0xFFFF, description="Bluetooth company id of the tags; 65535 is for tests only"
    )
    profile: Literal["desk", "truck", "metered"] = Field(
        "desk",
        description="the link: sets what stands under Links in the README, where it is not set",
    )
    presence_interval_s: float = Field(
        30.0, ge=1, le=86400, description="seconds between two presence messages while no tag comes or is lost"
    )
    status_interval_s: float = Field(10.0, ge=1, le=3600, description="seconds between two status messages")


class KeyringSettings(_Section):
    """Which tags this hub can open."""

    path: AnyPath = Field(description="keyring file, JSON lines; relative to the settings file")


class BleakSettings(_Section):
    """This machine's own Bluetooth, through BlueZ."""

    kind: Literal["bleak"]
    adapter: str | None = Field(
        None,
        pattern=r"^(hci\d+|([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})$",
        description='adapter such as "hci1", or its address; default: the first one that is free',
    )
    scan: Literal["active", "passive"] = Field(
        "active", description='"passive": saves power; needs bluetoothd --experimental'
    )
    silence_s: float = Field(
        90.0, ge=5, le=86400, description="seconds without anybody on the air until the scan is suspect"
    )
    recover: Literal["restart", "power", "usb"] = Field(
        "usb",
        description='what may be done to an adapter that does not work: "power": switch it, "usb": that and reset it',
    )
    required: bool = Field(True, description="whether the hub refuses to start without this radio")


class BumbleSettings(_Section):
    """A Bluetooth controller driven directly over HCI, without BlueZ."""

    kind: Literal["bumble"]
    transport: str = Field(
        pattern=r"^[a-z-]+:.+$",
        description='bumble transport: "usb:0", "serial:/dev/ttyUSB0,115200", "tcp-client:127.0.0.1:9999"',
    )
    scan: Literal["active", "passive"] = Field("active", description='"passive": asks the senders for nothing')
    silence_s: float = Field(
        90.0, ge=5, le=86400, description="seconds without anybody on the air until the scan is suspect"
    )
    required: bool = Field(True, description="whether the hub refuses to start without this radio")


class AirSettings(_Section):
    """Simulated radio: the hub listens, a simulator connects."""

    kind: Literal["air"]
    listen: Annotated[str, AfterValidator(_listen)] = Field(
        pattern=r"^(unix:.+|.+:\d{1,5})$", description='"127.0.0.1:7700", or "unix:PATH" for a unix socket'
    )
    required: bool = Field(True, description="whether the hub refuses to start without this radio")


class ReplaySettings(_Section):
    """A capture of `taghub capture`, or another btsnoop file, in the place of a radio."""

    kind: Literal["replay"]
    path: AnyPath = Field(description="btsnoop file; relative to the settings file")
    speed: float = Field(1.0, ge=0, description="times real time; 0: as fast as the hub can")
    required: bool = Field(True, description="whether the hub refuses to start without this radio")


RadioSettings = Annotated[BleakSettings | BumbleSettings | AirSettings | ReplaySettings, Field(discriminator="kind")]


class TlsSettings(_Section):
    """TLS to the broker; an empty section means the system's certificate authorities."""

    ca_file: AnyPath | None = Field(None, description="certificate authorities, PEM; default: the system's")
    cert_file: AnyPath | None = Field(None, description="this hub's certificate, PEM")
    key_file: AnyPath | None = Field(None, description="its private key, PEM")

    @model_validator(mode="after")
    def _pair(self) -> "TlsSettings":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class MqttSettings(_Section):
    """The broker. Without this section an embedded broker is started on this machine."""

    host: Host = Field(description="name or address of the broker")
    port: Port = Field(1883, description="TCP port; 8883 is usual with tls")
    client_id: MqttText | None = Field(
        None, description='default "taghub-SITE-ID"; stable, or the broker loses the session'
    )
    username: MqttText | None = Field(None, description="user name")
    password_file: AnyPath | None = Field(None, description="file whose first line is the password")
    protocol: Literal["5", "3.1.1"] = Field("5", description="version of MQTT; 5 tells more about what is wrong")
    tls: TlsSettings | None = Field(None, description="section [mqtt.tls]; default: no TLS")
    keepalive_s: int = Field(5, ge=2, le=600, description="seconds; a dead link is noticed after at most twice this")
    session_expiry_s: int = Field(86400, ge=0, le=0xFFFFFFFF, description="seconds the broker keeps the session")
    describe: bool = Field(
        True, description="give each publish content type, number and count; some 80 bytes, with MQTT 5"
    )
    inflight: int = Field(8, ge=1, le=100, description="batches sent and not yet acknowledged, at most")
    expiry_s: int = Field(
        604800, ge=0, le=0xFFFFFFFF, description="seconds the broker keeps samples for consumers that are away; 0: ever"
    )
    max_bytes_per_s: int = Field(0, ge=0, description="cap on what batches take of the link, alarms exempt; 0: none")
    outbox_mb: int = Field(64, ge=1, le=4096, description="megabytes of batches kept in memory, without a spool file")
    start_timeout_s: float = Field(10.0, gt=0, le=3600, description="seconds to reach the broker at the start")
    wait_for_broker: bool = Field(False, description="start without the broker and keep trying, as a truck hub should")
    stop_timeout_s: float = Field(5.0, ge=0, le=600, description="seconds to deliver what is left when stopped")


class BrokerSettings(_Section):
    """The embedded broker, on 127.0.0.1 only; for desks, tests and small runs: it forgets everything at its end."""

    port: Port = Field(1883, description="TCP port, MQTT 5")


class BatchSettings(_Section):
    """When a batch is closed."""

    max_age_s: float = Field(1.0, ge=0.05, le=3600, description="seconds from its first sample: 1 live, 300 on a meter")
    max_samples: int = Field(
        12_000, ge=1, le=12_000, description="samples in one batch; fewer where so many would not fit a publish"
    )


class CourierSettings(_Section):
    """Connections to tags whose keyring entry has a `hub`: fetches what was not heard, settles, carries commands."""

    enabled: bool = Field(True, description="whether this hub connects to tags at all")
    connections: int = Field(1, ge=1, le=16, description="connections at once on one radio")
    air_time_share: float = Field(
        0.2, gt=0, le=1, description="of a radio's time that may go into connections instead of scanning; 1: no limit"
    )
    connect_timeout_s: float = Field(
        4.0, gt=0, le=60, description="seconds to connect, beyond its window a tag is deaf"
    )
    visit_s: float = Field(20.0, ge=5, le=110, description="seconds that one visit may take, at most")
    adopt_hours: float = Field(
        24.0, ge=0, le=1440, description="hours of history asked for from before a tag was first heard, if not settled"
    )
    min_rssi_dbm: int = Field(-95, ge=-127, le=0, description="dBm; tags that are fainter are not connected to")


class SpoolSettings(_Section):
    """Where accepted samples are until the broker has them. Without this section they are in memory only."""

    path: AnyPath = Field(description="the spool file; relative to the settings file")
    max_mb: int = Field(1024, ge=1, le=1_000_000, description="megabytes of batches in it, at most")
    max_age_h: float = Field(720.0, gt=0, le=87600, description="hours after which a batch is dropped")
    when_full: Literal["oldest", "newest"] = Field("oldest", description="which batches go first when it is full")
    durability: Literal["full", "normal"] = Field(
        "full", description='"normal": a power cut may cost some seconds, for storage that wears fast'
    )


class FixedPosition(_Section):
    """A depot does not move."""

    kind: Literal["fixed"]
    latitude: float = Field(ge=-90, le=90, description="degrees, WGS 84")
    longitude: float = Field(ge=-180, le=180, description="degrees, WGS 84")


class GpsdPosition(_Section):
    """A truck does: its receiver, through gpsd."""

    kind: Literal["gpsd"]
    host: Host = Field("127.0.0.1", description="where gpsd runs")
    port: Port = Field(2947, description="its TCP port")
    max_age_s: float = Field(120.0, ge=1, description="seconds after which an old position is not given any more")


class TraceSettings(_Section):
    """What happened to each sample, for the simulator's ledger."""

    path: AnyPath = Field(description="file to append to; relative to the settings file")


class ClockSettings(_Section):
    """Where the hub's time comes from."""

    source: Literal["system", "air"] = Field(
        "system", description='"air": the time of the air records, for simulations faster than time'
    )


class Settings(_Section):
    """Everything a hub is told."""

    hub: HubSettings
    keyring: KeyringSettings
    radio: list[RadioSettings] = Field(min_length=1)
    mqtt: MqttSettings | None = None
    broker: BrokerSettings = BrokerSettings.model_validate({})
    batch: BatchSettings = BatchSettings.model_validate({})
    spool: SpoolSettings | None = None
    courier: CourierSettings = CourierSettings.model_validate({})
    position: Annotated[FixedPosition | GpsdPosition, Field(discriminator="kind")] | None = None
    trace: TraceSettings | None = None
    clock: ClockSettings = ClockSettings.model_validate({})

    @model_validator(mode="before")
    @classmethod
    def _profile(cls, document: Any) -> Any:
        """A profile stands for the settings that the file does not have."""
        hub = document.get("hub") if isinstance(document, dict) else None
        if not isinstance(hub, dict) or hub.get("profile") not in PROFILES:
            return document  # none, or a mistake that the field itself tells
        profile = PROFILES[hub["profile"]]
        intervals = {name: getattr(profile, name) for name in ("status_interval_s", "presence_interval_s")}
        filled = {**document, "hub": {**intervals, **hub}}
        for section, name in (("batch", "max_age_s"), ("mqtt", "keepalive_s"), ("mqtt", "describe")):
            values = document.get(section, {} if section == "batch" else None)
            if isinstance(values, dict):
                filled[section] = {name: getattr(profile, name), **filled.get(section, values)}
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.mqtt is not None and "broker" in self.model_fields_set:
            raise ValueError("[mqtt] names a broker and [broker] starts one: keep one of the two")
        if self.clock.source == "air" and any(radio.kind not in ("air", "replay") for radio in self.radio):
            raise ValueError('clock.source = "air" needs every radio to be of kind "air" or "replay"')
        return self


def load_settings(path: Path) -> Settings:
    """The settings of a file, its relative paths made relative to the file's folder.

    Raises SettingsError, whose one line names the file and the key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; `taghub init > {path}` writes one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_problem(error)}") from None
    return _with_absolute_paths(settings, path.resolve().parent)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    first = problems[0]
    kinds = ("bleak", "bumble", "air", "replay", "fixed", "gpsd")  # pydantic puts a union's tag into the location
    key = ".".join(str(part) for part in first["loc"] if part not in kinds)
    if first["type"] == "missing":
        text = "is missing"
    elif first["type"] == "extra_forbidden":
        text = "is no setting; `taghub init` shows all of them"
    elif first["type"] == "list_type" and isinstance(first["input"], dict):
        text = f"there may be several: write [[{key}]], not [{key}]"
    else:
        text = first["msg"].removeprefix("Value error, ")
        if first["type"] != "value_error":
            text = f"{text[0].lower()}{text[1:]}, not {first['input']!r}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"


def _with_absolute_paths(section: Settings, folder: Path) -> Settings:
    """Relative paths start at the settings file, wherever the hub is started from."""

    def absolute(model: BaseModel) -> BaseModel:
        changes: dict[str, object] = {}
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, Path):
                changes[name] = folder / value
            elif isinstance(value, BaseModel):
                changes[name] = absolute(value)
            elif isinstance(value, list):
                changes[name] = [absolute(item) if isinstance(item, BaseModel) else item for item in value]
        return model.model_copy(update=changes)

    changed = absolute(section)
    assert isinstance(changed, Settings)
    return changed
