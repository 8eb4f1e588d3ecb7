"""Platform commands: once each, in order, in time, and one reply per number whatever dies in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfleet.oracle import NonceOracle
from tagwire import messages as m
from tagwire.command import (
    COMMAND_BYTES_MIN,
    DETAIL_BYTES_MAX,
    EXPIRES_NEVER,
    REBOOT,
    SETTINGS,
    VALUE_BYTES_MAX,
    Command,
    CommandReceiver,
    command_nonce,
    decode_memory,
    first_number,
    open_command,
    open_reply,
    platform_key,
    seal_command,
)
from tagwire.errors import DecodeError, EncodeError
from tagwire.revocation import ENTRIES_MAX, EVERY_HUB, HubFloors
from tagwire.seal import aes128

TAG_ID = 0x0A0B0C0D
ROOT_KEY = bytes(range(16))
KEY = platform_key(ROOT_KEY)
GENERATION = 3
FIRST = first_number(GENERATION)
NOW_S = 1_767_225_600


class PowerCut(Exception):
    """The tag's power fails here."""


class FlakyMemory:
    """A durable place that can fail, or lose power before or after its k-th write."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.writes = 0
        self.fails_at: int | None = None
        self.dies_before: int | None = None
        self.dies_after: int | None = None

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.writes += 1
        if self.writes == self.dies_before:
            raise PowerCut
        if self.writes == self.fails_at:
            raise OSError(28)
        self.data = data
        if self.writes == self.dies_after:
            raise PowerCut


class Doer:
    """Does whatever it is told and remembers it."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.readiness = m.STATUS_OK
        self.outcome = (m.STATUS_OK, b"detail")

    def ready(self, command: Command) -> int:
        return self.readiness

    def execute(self, command: Command) -> tuple[int, bytes]:
        self.done.append(command)
        return self.outcome


class Bench:
    """A tag's receiver over a memory that outlives it, and an oracle over all that is sealed under K_platform."""

    def __init__(self) -> None:
        self.memory = FlakyMemory()
        self.doer = Doer()
        self.oracle = NonceOracle()
        self.start()

    def start(self) -> None:
        self.receiver = CommandReceiver(ROOT_KEY, TAG_ID, GENERATION, self.memory, self.doer)

    def envelope(self, number: int, expires_s: int = EXPIRES_NEVER, opcode: int = REBOOT) -> bytes:
        return seal_command(aes128(KEY), TAG_ID, Command(number, opcode, expires_s, b""))

    def give(self, envelope: bytes, now_s: int | None = NOW_S) -> tuple[int, tuple[int, int, bytes] | None]:
        status, reply = self.receiver.receive(envelope, now_s)
        if not reply:
            return status, None
        nonce = command_nonce(reply[0], TAG_ID, int.from_bytes(reply[1:5], "little"), 0)
        self.oracle.check(KEY, nonce, reply[:5], reply[5:])
        return status, open_reply(aes128(KEY), TAG_ID, reply)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_command_is_carried_out_once_and_answered_alike_each_time(bench: Bench) -> None:
    envelope = bench.envelope(FIRST)
    for _ in range(3):
        assert bench.give(envelope) == (m.STATUS_OK, (FIRST, m.STATUS_OK, b"detail"))
        bench.start()
    assert bench.doer.done == [Command(FIRST, REBOOT, EXPIRES_NEVER, b"")]


@pytest.mark.parametrize("number", [FIRST - 1, 0])
def test_command_below_the_generation_is_replayed(bench: Bench, number: int) -> None:
    assert bench.give(bench.envelope(number)) == (m.STATUS_REPLAYED, None)


def test_command_with_a_lower_number_is_replayed_even_after_a_restart(bench: Bench) -> None:
    bench.give(bench.envelope(FIRST + 5))
    bench.start()
    assert bench.give(bench.envelope(FIRST + 4)) == (m.STATUS_REPLAYED, None)
    assert len(bench.doer.done) == 1


@pytest.mark.parametrize("byte", range(COMMAND_BYTES_MIN))
def test_command_with_any_changed_byte_does_nothing(bench: Bench, byte: int) -> None:
    envelope = bytearray(bench.envelope(FIRST))
    envelope[byte] ^= 0x40
    status, reply = bench.give(bytes(envelope))
    assert status == (m.STATUS_VERSION if byte == 0 else m.STATUS_FORGED)
    assert (reply, bench.doer.done, bench.memory.data) == (None, [], None)


@given(st.binary(max_size=240))
def test_command_of_garbage_does_nothing(envelope: bytes) -> None:
    bench = Bench()
    status, reply = bench.give(envelope)
    assert status in (m.STATUS_FORGED, m.STATUS_VERSION)
    assert (reply, bench.memory.data) == (None, None)


def test_command_of_another_tag_does_nothing(bench: Bench) -> None:
    envelope = seal_command(aes128(KEY), TAG_ID + 1, Command(FIRST, REBOOT, EXPIRES_NEVER, b""))
    assert bench.give(envelope) == (m.STATUS_FORGED, None)


def test_command_reply_is_no_command(bench: Bench) -> None:
    _, reply = bench.receiver.receive(bench.envelope(FIRST), NOW_S)
    assert bench.give(reply) == (m.STATUS_FORGED, None)


def test_command_after_its_expiry_is_taken_and_refused(bench: Bench) -> None:
    envelope = bench.envelope(FIRST, expires_s=NOW_S - 1)
    assert bench.give(envelope) == (m.STATUS_EXPIRED, (FIRST, m.STATUS_EXPIRED, b""))
    assert bench.give(envelope, NOW_S - 100) == (m.STATUS_EXPIRED, (FIRST, m.STATUS_EXPIRED, b""))
    assert bench.doer.done == []


def test_command_with_an_expiry_waits_until_the_tag_knows_the_time(bench: Bench) -> None:
    envelope = bench.envelope(FIRST, expires_s=NOW_S)
    assert bench.give(envelope, None) == (m.STATUS_NOT_NOW, None)
    assert bench.give(envelope, NOW_S) == (m.STATUS_OK, (FIRST, m.STATUS_OK, b"detail"))


@pytest.mark.parametrize("status", [m.STATUS_BUSY, m.STATUS_BATTERY])
def test_command_that_cannot_be_done_now_may_come_again(bench: Bench, status: int) -> None:
    bench.doer.readiness = status
    assert bench.give(bench.envelope(FIRST)) == (status, None)
    bench.doer.readiness = m.STATUS_OK
    assert bench.give(bench.envelope(FIRST))[0] == m.STATUS_OK


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize("write", [1, 2])
def test_command_cut_by_power_is_never_done_twice_and_has_one_reply(bench: Bench, when: str, write: int) -> None:
    setattr(bench.memory, when, write)
    envelope = bench.envelope(FIRST)
    with pytest.raises(PowerCut):
        bench.give(envelope)
    bench.start()
    first = bench.give(envelope)
    bench.start()
    assert bench.give(envelope) == first
    assert len(bench.doer.done) <= 1
    if (when, write) == ("dies_before", 2):
        assert first == (m.STATUS_INTERRUPTED, (FIRST, m.STATUS_INTERRUPTED, b""))


@pytest.mark.parametrize("write", [1, 2])
def test_command_whose_outcome_cannot_be_kept_is_not_answered(bench: Bench, write: int) -> None:
    bench.memory.fails_at = write
    envelope = bench.envelope(FIRST)
    assert bench.give(envelope) == (m.STATUS_STORAGE, None)
    status, reply = bench.give(envelope)
    bench.start()
    assert bench.give(envelope) == (status, reply)
    assert len(bench.doer.done) == 1


def test_command_memory_that_is_corrupt_stops_commands() -> None:
    bench = Bench()
    bench.give(bench.envelope(FIRST))
    assert bench.memory.data is not None
    for data in (b"", bench.memory.data[:-1], bytes(len(bench.memory.data)), bytes(100)):
        with pytest.raises(DecodeError, match="format"):
            decode_memory(data)


def test_command_detail_is_cut_to_what_the_memory_holds(bench: Bench) -> None:
    bench.doer.outcome = (m.STATUS_VALUE, bytes(50))
    assert bench.give(bench.envelope(FIRST)) == (m.STATUS_VALUE, (FIRST, m.STATUS_VALUE, bytes(DETAIL_BYTES_MAX)))


def test_command_value_has_a_limit() -> None:
    encrypt = aes128(KEY)
    longest = Command(FIRST, SETTINGS, EXPIRES_NEVER, bytes(VALUE_BYTES_MAX))
    assert open_command(encrypt, TAG_ID, seal_command(encrypt, TAG_ID, longest)) == longest
    with pytest.raises(EncodeError):
        seal_command(encrypt, TAG_ID, longest._replace(value=bytes(VALUE_BYTES_MAX + 1)))


def test_revoked_hubs_stay_out_and_others_do_not() -> None:
    floors = HubFloors()
    assert floors.permits(7, 0, None)
    assert floors.revoke(7, 100)
    assert floors.revoke(7, 50)  # floors only rise
    floors = HubFloors(floors.encode())
    assert [floors.permits(7, epoch, None) for epoch in (99, 100)] == [False, True]
    assert floors.permits(8, 0, None)
    assert not floors.permits(8, 100, 101 * 86400)


def test_revoked_hubs_are_bounded_and_a_floor_for_all_makes_room() -> None:
    floors = HubFloors()
    assert all(floors.revoke(hub_id, 10) for hub_id in range(ENTRIES_MAX))
    assert not floors.revoke(ENTRIES_MAX, 10)
    assert floors.permits(ENTRIES_MAX, 9, None)
    assert not floors.revoke(EVERY_HUB, 9)
    assert floors.revoke(EVERY_HUB, 10)
    assert len(floors.encode()) == 6
    assert not floors.permits(3, 9, None)
    assert floors.revoke(ENTRIES_MAX, 20)


@given(st.binary(max_size=120))
def test_revoked_hubs_from_garbage_raise_or_return_the_same_bytes(data: bytes) -> None:
    try:
        again = HubFloors(data).encode()
    except DecodeError:
        again = data
    assert again == data
