"""Files of a tag's flash that are missing, cut, overwritten or changed: it works on, or says that it needs service."""

import random
from collections.abc import Iterator

import pytest
from twin_bench import QUICK, ROOT_KEY, interpreter, twin_spec

from tagfleet.twin.counters import is_service, sealed_under
from tagfleet.twin.power_cuts import scripted_orders, small_image
from tagfleet.twin.virtual_time import VirtualTwin
from tagfleet.twin.visits import VisitingHub
from tagsmith.image import make_image, read_image
from tagwire.keys import beacon_key
from tagwire.provision import COUNTER_FILE, PROVISION_FILE
from tagwire.seal import aes128
from tagwire.service import SERVICE_COUNTER_LOST, SERVICE_NO_KEY, decode_service

SPEC = twin_spec({**QUICK, "interval_s": 300, "window_unsettled": 4, "window_every": 1})
COMMANDS = 3  # settings and a hub that is revoked; the next one would rotate the keys


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VirtualTwin, bytes, dict[bytes, bytes], int]]:
    """A twin, and what it was when it had lived a while with a hub: flash, NVS, the last counter."""
    folder = tmp_path_factory.mktemp("tampered")
    hub = VisitingHub(SPEC.provision, lambda number: scripted_orders(number) if number <= COMMANDS else None)
    with VirtualTwin(SPEC, folder, interpreter(), image=small_image(SPEC), hub=hub) as twin:
        while len(twin.made) < 40:
            twin.wake()
        assert len(hub.replied) == COMMANDS
        yield twin, twin.flash.read_bytes(), dict(twin.board.nvs), 39


def damages(content: bytes, chance: random.Random) -> Iterator[bytes | None]:
    yield None
    yield b""
    yield content[: len(content) // 2]
    yield chance.randbytes(len(content))
    for _ in range(3):
        at = chance.randrange(len(content))
        yield content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


@pytest.mark.parametrize(
    "name", [PROVISION_FILE, COUNTER_FILE, "changes", "commands-0", "revoked", "settled", "log", "journal"]
)
def test_tag_with_a_damaged_file_goes_on_or_asks_for_service(
    lived: tuple[VirtualTwin, bytes, dict[bytes, bytes], int], name: str
) -> None:
    twin, image, nvs, last = lived
    files = read_image(image)
    (path,) = [
        path for path in files if path.rpartition("/")[2] == name or (name == "journal" and path.endswith("/00000000"))
    ]
    encrypt = aes128(beacon_key(ROOT_KEY, 0))
    chance = random.Random(name)
    for damaged in damages(files[path], chance):
        changed = {**files, path: damaged}
        kept = {path: content for path, content in changed.items() if content is not None}
        twin.restart(make_image(kept, len(image)), nvs, twin.now_s)
        began_s = twin.now_s
        twin.wake()
        assert "Ctrl-C within" in twin.console() or twin.made  # QUICK has no window at the prompt while all is well
        twin.wake()
        twin.wake()
        assert twin.crashes == 0
        assert twin.now_s - began_s < 3 * 700
        services = [decode_service(frame).reason for _, frame in twin.advertised if is_service(frame)]
        counters = [sealed_under(encrypt, made.frame, last + 1) for made in twin.made]
        assert all(counter > last for counter in counters)
        assert counters == sorted(set(counters))
        if name == PROVISION_FILE:
            assert (services, counters) == ([SERVICE_NO_KEY] * 3, [])
        else:  # the counter's limit stands in NVS too
            assert services == []
            assert counters


def test_tag_that_has_lost_its_counter_in_both_places_asks_for_service(
    lived: tuple[VirtualTwin, bytes, dict[bytes, bytes], int],
) -> None:
    twin, image, _, _ = lived
    files = read_image(image)
    del files[COUNTER_FILE]
    twin.restart(make_image(files, len(image)), {}, twin.now_s)
    twin.wake()
    assert "Ctrl-C within 30 s" in twin.console()
    assert twin.made == []
    assert [decode_service(frame).reason for _, frame in twin.advertised] == [SERVICE_COUNTER_LOST]


def test_file_named_as_a_built_in_is_not_looked_for(lived: tuple[VirtualTwin, bytes, dict[bytes, bytes], int]) -> None:
    """Nor is it read: a wake has some twenty imports of built-ins, each of which would search flash."""
    twin, image, nvs, _ = lived
    stray = {f"{name}.py": b"raise SystemExit\n" for name in ("binascii", "collections", "lib/struct")}
    twin.restart(make_image({**read_image(image), **stray}, len(image)), nvs, twin.now_s)
    for _ in range(4):  # and windows between them
        twin.wake()
    assert len(twin.made) >= 2
    assert twin.crashes == 0
