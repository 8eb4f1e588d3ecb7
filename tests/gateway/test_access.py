"""TLS, certificates, users and access lists, with a real mosquitto."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority
from hub_process import HubProcess, Subscriber
from mosquitto import Mosquitto
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tags import Tag
from waiting import wait_until

from taghub.mqtt_client import end_thread
from tagwire import trace
from tagwire.keyring import hub_key_of

BROKERS = Path(__file__).resolve().parents[2] / "docs" / "brokers.md"

pytestmark = pytest.mark.system


def mqtt(port: int, **tls: Path) -> str:
    lines = "".join(f'{name} = "{path}"\n' for name, path in tls.items())
    return f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nstart_timeout_s = 5\n[mqtt.tls]\n{lines}'


def tls_broker(program: str, folder: Path, ports: tuple[int, int], authority: Authority, days: int = 1) -> Mosquitto:
    """TLS with client certificates on the first port, nothing on the second."""
    certificate, key = authority.issue("broker", days)
    listener = (
        f"per_listener_settings true\nlistener {ports[1]} 127.0.0.1\nallow_anonymous true\n"
        f"listener {ports[0]} 127.0.0.1\ncafile {authority.ca_file}\ncertfile {certificate}\nkeyfile {key}\n"
        "require_certificate true\n"
    )
    return Mosquitto(program, folder / "broker", ports[0], listener=listener)


def test_mutual_tls_delivers(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str]) -> None:
    ports = free_port(), free_port()
    authority = Authority(tmp_path)
    certificate, key = authority.issue("hub-1")
    with tls_broker(program("mosquitto", "mosquitto"), tmp_path, ports, authority), Subscriber(ports[1]) as subscriber:
        settings = mqtt(ports[0], ca_file=authority.ca_file, cert_file=certificate, key_file=key)
        with HubProcess(tmp_path, [Tag(1).entry()], settings) as hub:
            hub.advertise(Tag(1).advertisement(1))
            wait_until(lambda: subscriber.keys == [(1, 1)], "delivered over TLS")
            assert hub.end() == 0


@pytest.mark.parametrize(
    ("case", "sentence"),
    [("expired", "renew the broker's certificate"), ("stranger", "is ca_file the authority"), ("own", "renew it")],
)
def test_certificate_that_is_not_good_is_told_and_nothing_is_sent(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str], case: str, sentence: str
) -> None:
    ports = free_port(), free_port()
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    trusted = Authority(tmp_path / "other") if case == "stranger" else authority
    certificate, key = authority.issue("hub-1", -1 if case == "own" else 1)
    days = -1 if case == "expired" else 1
    with tls_broker(program("mosquitto", "mosquitto"), tmp_path, ports, authority, days):
        settings = mqtt(ports[0], ca_file=trusted.ca_file, cert_file=certificate, key_file=key)
        hub = HubProcess(tmp_path, [], settings)
        command = [sys.executable, "-m", "taghub", "run", str(hub.settings)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 4
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_hub_that_may_not_publish_loses_nothing_and_says_what_to_change(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str]
) -> None:
    port = free_port()
    acl = tmp_path / "acl"
    acl.write_text("topic read tags/#\ntopic write tags/v1/+/+/status\n", "utf-8")
    access = f"allow_anonymous true\nacl_file {acl}"
    broker = Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port, access=access)
    hub = HubProcess(tmp_path, [Tag(1).entry()], f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')
    with broker, Subscriber(port) as subscriber, hub:
        hub.advertise(*[Tag(1).advertisement(counter) for counter in range(5)])
        wait_until(lambda: "allow its topics in the broker's access list" in hub.log, "said")
        assert subscriber.keys == []
        acl.write_text("topic readwrite tags/#\n", "utf-8")
        broker.reload()
        wait_until(lambda: len(subscriber.keys) == 5, "delivered when it may")
        wait_until(lambda: len(hub.traced(trace.ACKNOWLEDGED)) == 5, "acknowledged")
        assert hub.end() == 0


def test_documented_mosquitto_lets_pass_what_a_hub_and_a_platform_need(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str]
) -> None:
    """Its listener, certificates and access list, as docs/brokers.md shows them."""
    settings_of_it, access_list = re.findall(r"^```\n(.*?)^```", BROKERS.read_text(), re.MULTILINE | re.DOTALL)[:2]
    port, authority, acl = free_port(), Authority(tmp_path), tmp_path / "acl"
    acl.write_text(access_list.replace("/depot/", "/test/"), "utf-8")
    certificate, key = authority.issue("broker")
    here = {"listener": f"{port} 127.0.0.1", "cafile": authority.ca_file, "certfile": certificate, "keyfile": key}
    lines = dict(line.split(" ", 1) for line in settings_of_it.splitlines())
    kept = {name: value for name, value in lines.items() if not name.startswith(("persistence", "autosave", "max_"))}
    listener = "\n".join(f"{name} {value}" for name, value in {**kept, **here, "acl_file": acl}.items())
    broker = Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port, listener=listener, access="")
    hub_certificate, hub_key = authority.issue("hub-1")
    settings = mqtt(port, ca_file=authority.ca_file, cert_file=hub_certificate, key_file=hub_key) + "[courier]\n"
    tag, heard = Tag(1), set[str]()
    platform = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    platform_certificate, platform_key = authority.issue("platform")
    platform.tls_set(str(authority.ca_file), str(platform_certificate), str(platform_key))
    platform.on_connect = lambda client, *_: client.subscribe("tags/v1/#", 1)
    platform.on_message = lambda client, userdata, message: heard.add(message.topic.rpartition("/")[2])

    def ordered() -> bool:
        platform.publish("tags/v1/test/hub-1/command", b"no order", 1)
        return "reply" in heard

    with broker, HubProcess(tmp_path, [tag.entry(hub=hub_key_of(tag.root_key, 1))], settings) as hub:
        platform.connect("127.0.0.1", port)
        platform.loop_start()
        try:
            hub.advertise(tag.advertisement(1))
            wait_until(lambda: heard >= {"samples", "status", "presence"}, "what the hub tells")
            wait_until(ordered, "an order arrives and is answered")
        finally:
            end_thread(platform)
        assert hub.end() == 0


@pytest.mark.parametrize("right", [True, False])
def test_user_and_password_open_the_broker_or_say_that_they_do_not(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str, str], str], right: bool
) -> None:
    port, watching = free_port(), free_port()
    passwords = tmp_path / "passwords"
    subprocess.run([program("mosquitto_passwd", "mosquitto"), "-b", "-c", passwords, "hub-1", "right"], check=True)
    listener = (
        f"per_listener_settings true\nlistener {watching} 127.0.0.1\nallow_anonymous true\n"
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
    )
    broker = Mosquitto(program("mosquitto", "mosquitto"), tmp_path / "broker", port, listener=listener, access="")
    (tmp_path / "password").write_text("right\n" if right else "wrong\n", "utf-8")
    settings = f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nusername = "hub-1"\npassword_file = "password"\n'
    hub = HubProcess(tmp_path, [Tag(1).entry()], f"{settings}start_timeout_s = 5\n")
    with broker, Subscriber(watching) as subscriber:
        if not right:
            command = [sys.executable, "-m", "taghub", "run", str(hub.settings)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert (result.returncode, "Not authorized" in result.stderr) == (4, True)
            return
        with hub:
            hub.advertise(Tag(1).advertisement(1))
            wait_until(lambda: subscriber.keys == [(1, 1)], "delivered")
            assert hub.end() == 0
