"""Settings: the example is complete and accepted, and each mistake is one line that names file and key."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from taghub import settings as module
from taghub.errors import SettingsError
from taghub.settings import AirSettings, load_settings

GOOD = """
[hub]
id = "hub-1"
site = "demo"
[keyring]
path = "keys/keyring.jsonl"
[[radio]]
kind = "air"
listen = "127.0.0.1:7700"
"""

EXAMPLE = files("taghub").joinpath("example.toml").read_text("utf-8")


def load(tmp_path: Path, text: str) -> module.Settings:
    path = tmp_path / "settings.toml"
    path.write_text(text, "utf-8")
    return load_settings(path)


def test_defaults_and_paths_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD + '[trace]\npath = "/var/trace.bin"\n')
    assert settings.keyring.path == tmp_path / "keys/keyring.jsonl"
    assert settings.trace is not None
    assert settings.trace.path == Path("/var/trace.bin")
    assert settings.radio == [AirSettings(kind="air", listen="127.0.0.1:7700")]
    assert (settings.batch.max_age_s, settings.broker.port, settings.hub.company_id) == (1.0, 1883, 0xFFFF)


def test_example_is_accepted(tmp_path: Path) -> None:
    assert load(tmp_path, EXAMPLE).hub.site == "demo"


def test_every_commented_line_of_the_example_is_a_setting_with_its_default(tmp_path: Path) -> None:
    sections = [model for model in vars(module).values() if isinstance(model, type) and issubclass(model, BaseModel)]
    names = {name for model in sections for name in model.model_fields} - set(module.Settings.model_fields)
    shown = {line.lstrip("# ").split(" = ")[0] for line in EXAMPLE.splitlines() if " = " in line}
    assert names - shown == {"tls"}  # a section, shown as [mqtt.tls]
    assert shown - names == set()


def test_defaults_that_the_example_shows_are_those_that_count() -> None:
    """Where the file itself names an example in place of a default, there is none, or none that suits everybody."""
    sections = {"hub": "HubSettings", "mqtt": "MqttSettings", "batch": "BatchSettings", "spool": "SpoolSettings"}
    sections["courier"] = "CourierSettings"
    section, compared = "", 0
    for line in EXAMPLE.splitlines():
        text = line.removeprefix("# ")
        if text.startswith("["):
            section = text.partition("]")[0].lstrip("[")
        elif line.startswith("# ") and " = " in text and section in sections:
            ((name, shown),) = tomllib.loads(text).items()
            default = getattr(module, sections[section]).model_fields[name].default
            if default is not None and default is not PydanticUndefined:
                assert (section, name, shown) == (section, name, default)
                compared += 1
    assert compared > 25


def uncommented(first_line: str) -> str:
    """One section of the example, its comment marks taken away."""
    lines = EXAMPLE.splitlines()
    start = lines.index(first_line)
    section = []
    for line in lines[start + 1 :]:
        if not line.startswith("# ") or line.startswith("# ["):
            break
        section.append(line.removeprefix("# "))
    return "\n".join([first_line.removeprefix("# "), *section]) + "\n"


@pytest.mark.parametrize("section", ["# [mqtt]", "# [batch]", "# [[radio]]", "# [trace]", "# [clock]", "# [position]"])
def test_sections_of_the_example_are_accepted(tmp_path: Path, section: str) -> None:
    load(tmp_path, GOOD + uncommented(section))


def test_defaults_that_the_example_shows_are_the_defaults(tmp_path: Path) -> None:
    shown = load(tmp_path, GOOD + uncommented("# [mqtt]")).mqtt
    bare = load(tmp_path, GOOD + '[mqtt]\nhost = "mqtt.example.com"\n').mqtt
    assert shown is not None
    assert bare is not None
    examples: dict[str, Any] = {"client_id": None, "username": None, "password_file": None}
    assert shown.model_copy(update=examples) == bare


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("hub-1", "a/b"), "hub.id: "),
        (('id = "hub-1"\n', ""), "hub.id: is missing"),
        (('"demo"', '"demo"\nsitte = 1'), "hub.sitte: is no setting"),
        (('"demo"', '"demo"\ncompany_id = 65536'), "hub.company_id: "),
        (("127.0.0.1:7700", "somewhere"), "radio.0.listen: "),
        (('kind = "air"', 'kind = "ear"'), "radio.0: "),
        (("[hub]", "[broker]\nport = 0\n[hub]"), "broker.port: "),
        (
            ("[hub]", '[mqtt]\nhost = "x"\n[broker]\nport = 1883\n[hub]'),
            "[mqtt] names a broker and [broker] starts one",
        ),
        (("[hub]", '[clock]\nsource = "air"\n[[radio]]\nkind = "bleak"\n[hub]'), "needs every radio to be of kind"),
        (
            ("[hub]", '[mqtt]\nhost = "x"\n[mqtt.tls]\ncert_file = "c"\n[hub]'),
            "mqtt.tls: cert_file and key_file belong",
        ),
        (("[hub]", '[position]\nkind = "fixed"\nlatitude = 91\nlongitude = 0\n[hub]'), "position.latitude: "),
        (("[hub]", "[hub"), "not TOML"),
        (("[[radio]]", "[radio]"), "radio: there may be several: write [[radio]], not [radio]"),
        (("keys/keyring.jsonl", "a\\u0000b"), "keyring.path: has a character that cannot be printed"),
        (("127.0.0.1:7700", "unix:a\\u0000b"), "radio.0.listen: has a character that cannot be printed"),
        (("127.0.0.1:7700", f"unix:/{'a' * 107}"), "radio.0.listen: the path has 108 bytes"),
        (("127.0.0.1:7700", "a..b:7700"), "radio.0.listen: no host can have this name: 'a..b'"),
        (("127.0.0.1:7700", "localhost:65536"), "radio.0.listen: 65536 is no TCP port"),
        (("[hub]", '[mqtt]\nhost = "a..b"\n[hub]'), "mqtt.host: no host can have this name: 'a..b'"),
        (("[hub]", '[mqtt]\nhost = "a b"\n[hub]'), "mqtt.host: has a space"),
        (("[hub]", f'[mqtt]\nhost = "{"a" * 64}.example"\n[hub]'), "mqtt.host: no host can have this name"),
        (
            ("[hub]", '[mqtt]\nhost = "x"\nclient_id = "a\\u0000b"\n[hub]'),
            "mqtt.client_id: has a character that cannot be printed",
        ),
        (("[hub]", f'[mqtt]\nhost = "x"\nusername = "{"x" * 70_000}"\n[hub]'), "mqtt.username: has 70000 bytes"),
        (("[hub]", '[position]\nkind = "gpsd"\nhost = "a..b"\n[hub]'), "position.host: no host"),
    ],
)
def test_mistake_is_one_line_that_names_file_and_key(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, GOOD.replace(*change))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/settings.toml: ")
    assert message in text
    assert "\n" not in text


def test_missing_or_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file; `taghub init"):
        load_settings(tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'[hub]\nid = "\xe9"\n')
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "latin.toml")


def test_example_is_toml_with_nothing_but_comments_removed() -> None:
    assert set(tomllib.loads(EXAMPLE)) == {"hub", "keyring", "radio", "broker", "spool"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "mqtt.example.com", "mqtt.example.com.", "büro.example", "a_b"])
def test_hosts_that_can_be(tmp_path: Path, host: str) -> None:
    settings = load(tmp_path, GOOD.replace("127.0.0.1:7700", f"{host}:7700") + f'[mqtt]\nhost = "{host}"\n')
    assert settings.mqtt is not None
    assert settings.mqtt.host == host
