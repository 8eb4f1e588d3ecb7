"""Sessions: history arrives exactly once over links that break, and only the peer's own frames have any effect."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_ends import EPOCH, HUB_ID, ROOT_KEY, TAG_ID, Connection, JournalTag, sample

from tagfleet.oracle import NonceOracle
from tagwire import messages as m
from tagwire.errors import DecodeError, EncodeError
from tagwire.history import Record
from tagwire.hubend import STATUS_NAMES, Established, Finished, HubEnd, Log, Replied
from tagwire.ranges import decode_ranges, encode_ranges, normalized, total
from tagwire.session import (
    EPOCH_FOREVER,
    FORGED_MAX,
    HELLOS_MAX,
    Channel,
    HubHandshake,
    TagHandshake,
    expired,
    hub_key,
    session_key,
)
from tagwire.tagend import TagEnd, bounded_time

counters = st.sets(st.integers(0, 400), max_size=300)
breaks = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([64, 97, 182, 244])))  # (after frames, frame bytes)


def connected(tag: JournalTag | None = None, wanted: list[tuple[int, int]] | None = None) -> Connection:
    """A connection on which the session is established."""
    connection = Connection(tag or JournalTag(set(range(10))), wanted or [], NonceOracle())
    connection.run()
    return connection


def session_key_of(connection: Connection) -> bytes:
    return session_key(connection.key, *connection._randoms)


def reason_of(frame: bytes, end: TagEnd | HubEnd) -> str:
    with pytest.raises(DecodeError) as caught:
        end.receive(frame)
    return caught.value.reason


@settings(max_examples=40, deadline=None)
@given(counters, counters, counters, breaks)
def test_session_history_arrives_exactly_once_over_a_link_that_breaks_anywhere(
    held: set[int], gone: set[int], wanted: set[int], cuts: list[tuple[int, int]]
) -> None:
    tag = JournalTag(held, gone - held)
    oracle = NonceOracle()
    missing = normalized((counter, counter) for counter in wanted)
    received: list[Record] = []
    never_made: list[tuple[int, int]] = []
    overwritten: list[tuple[int, int]] = []
    for seed, (frames, frame_bytes) in enumerate([*cuts, (100_000, 244)]):
        asked = missing
        connection = Connection(tag, missing, oracle, seed, frame_bytes)
        connection.run(frames)
        received += connection.records()
        never_made += connection.absent(gone=False)
        overwritten += connection.absent(gone=True)
        missing = connection.hub.missing
    expected = {counter for counter in wanted if counter <= tag.newest()}
    assert sorted(received) == [sample(counter) for counter in sorted(expected & held)]
    assert total(overwritten) + total(never_made) == len(expected - held)  # each once
    assert normalized(overwritten) == normalized((c, c) for c in expected & tag.gone)
    assert normalized(never_made) == normalized((c, c) for c in expected - held - tag.gone)
    assert missing == normalized((c, c) for c in wanted - expected)
    assert isinstance(connection.events[-1], Finished) or not asked


@pytest.mark.parametrize("frame_bytes", [64, 244])
@pytest.mark.parametrize("size", [0, 1, 225, 226, 2048])
def test_session_log_arrives_whole_whatever_the_frame_holds(frame_bytes: int, size: int) -> None:
    tag = JournalTag({1}, log_text=random.Random(size).randbytes(size))
    connection = Connection(tag, [(0, 1)], NonceOracle(), frame_bytes=frame_bytes)
    for _ in range(3):  # asking while it is under way changes nothing
        connection.hub.read_log()
    connection.hub.identify(3)
    connection.run()
    assert [event for event in connection.events if isinstance(event, Log)] == [Log(tag.log_text)]
    assert connection.records() == [sample(1)]
    tag.log_text = b"later"
    connection.hub.read_log()
    connection.run()
    assert connection.events[-1] == Log(b"later")


def test_session_log_that_cannot_be_read_says_so_and_the_session_goes_on() -> None:
    tag = JournalTag({1}, log_fails=True)
    connection = connected(tag)
    connection.hub.read_log()
    connection.hub.identify(3)
    connection.run()
    answers = [event for event in connection.events if isinstance(event, Replied)]
    assert sorted(answers) == [Replied(m.IDENTIFY, m.STATUS_OK, b""), Replied(m.LOG, m.STATUS_STORAGE, b"")]


def test_session_log_one_request_at_a_time_and_no_piece_that_was_not_asked_for() -> None:
    connection = connected(JournalTag({1}, log_text=b"crash"))
    hub = connection.hub._channel
    assert hub is not None
    connection.tag.receive(hub.seal(m.encode_message(m.LOG, bytes(2)) * 2))
    frame = connection.tag.next_frame()
    assert frame is not None
    with pytest.raises(DecodeError) as caught:
        connection.hub.receive(frame)
    assert caught.value.reason == "unasked"
    at_hub = Channel(session_key_of(connection), TAG_ID, True)
    at_hub.next_received = int.from_bytes(frame[1:3], "little")
    assert m.decode_messages(at_hub.open(frame)) == [
        (m.REPLY, bytes([m.LOG, m.STATUS_BUSY])),
        (m.LOG_TEXT, b"\0\0crash"),
    ]


def test_session_asks_for_more_ranges_than_one_request_holds() -> None:
    tag = JournalTag(set(range(0, 1000, 2)))
    wanted = [(counter, counter) for counter in range(0, 900, 4)]
    connection = connected(tag, wanted)
    assert [record.counter for record in connection.records()] == list(range(0, 900, 4))
    assert connection.hub.missing == []


def test_session_tag_sends_no_more_history_than_it_has_credit_for() -> None:
    tag = JournalTag(set(range(5000)))
    connection = Connection(tag, [(0, 4999)], NonceOracle())
    while (frame := connection.hub.next_frame()) is not None:
        connection.tag.receive(frame)
        if connection.hub._channel is None:
            connection.hub.receive(connection.tag.next_frame() or b"")
    frames = []
    while (frame := connection.tag.next_frame()) is not None:
        frames.append(frame)
    assert len(frames) == 1 + 8  # STATE, and the credit


def test_session_carries_what_the_hub_has_to_say() -> None:
    tag = JournalTag(set(range(10)))
    connection = connected(tag)
    assert connection.events == [Established(9, 10)]
    connection.hub.settle([(0, 4), (6, 6)])
    connection.hub.set_time(1_767_225_600, 2)
    connection.hub.identify(5)
    connection.hub.command(b"envelope")
    connection.run()
    assert tag.settled == [(0, 4), (6, 6)]
    assert tag.times == [(1_767_225_600, 2)]
    assert tag.identified == [5]
    assert tag.commands == [b"envelope"]
    assert connection.events[1:] == [
        Replied(m.SETTLED, m.STATUS_OK, b""),
        Replied(m.TIME, m.STATUS_OK, b""),
        Replied(m.IDENTIFY, m.STATUS_OK, b""),
        Replied(m.COMMAND, m.STATUS_UNKNOWN, b"sealed reply"),
    ]


def test_session_samples_made_after_the_request_stay_missing() -> None:
    tag = JournalTag({1, 2, 3})
    connection = connected(tag, [(2, 6)])
    assert [record.counter for record in connection.records()] == [2, 3]
    assert connection.hub.missing == [(4, 6)]
    assert connection.events[-1] == Finished(3)


def test_session_journal_that_cannot_be_read_leaves_the_rest_missing() -> None:
    connection = connected(JournalTag(set(range(100)), fails_at=60), [(0, 99)])
    assert [record.counter for record in connection.records()] == list(range(60))
    assert connection.hub.missing == [(60, 99)]
    assert connection.events[-2:] == [Replied(m.HISTORY, m.STATUS_STORAGE, b""), Finished(None)]


def test_session_with_the_wrong_key_has_no_effect_on_either_side() -> None:
    tag = JournalTag(set(range(10)))
    connection = Connection(tag, [(0, 9)], NonceOracle(), root_key=bytes(16))
    connection.hub.settle([(0, 9)])
    with pytest.raises(DecodeError, match="forged"):
        connection.run()
    assert connection.tag.next_frame() is None
    assert tag.settled == []


@pytest.mark.parametrize("byte", [1, 2, 3, 20, -1])
def test_session_frame_with_any_changed_byte_is_refused_and_the_true_one_still_counts(byte: int) -> None:
    connection = connected()
    connection.hub.identify(3)
    frame = connection.hub.next_frame() or b""
    changed = bytearray(frame)
    changed[byte % len(frame)] ^= 1
    assert reason_of(bytes(changed), connection.tag) in ("forged", "order", "replayed")
    connection.tag.receive(frame)
    assert connection.events == [Established(9, 10)]
    connection.run()
    assert connection.events[1:] == [Replied(m.IDENTIFY, m.STATUS_OK, b"")]


def test_session_repeated_and_reordered_frames_are_named() -> None:
    connection = connected()
    connection.hub.identify(1)
    first = connection.hub.next_frame() or b""
    connection.hub.identify(2)
    second = connection.hub.next_frame() or b""
    assert reason_of(second, connection.tag) == "order"
    connection.tag.receive(first)
    assert reason_of(first, connection.tag) == "replayed"
    connection.tag.receive(second)
    assert reason_of(first, connection.hub) in ("replayed", "order", "forged")  # a hub's frame reflected to the hub


def test_session_recorded_as_a_whole_cannot_be_played_again() -> None:
    tag = JournalTag(set(range(10)))
    recorded = Connection(tag, [], NonceOracle())
    recorded.hub.settle([(3, 3)])
    recorded.run()
    tag.settled = []
    later = Connection(tag, [], NonceOracle(), seed=1)
    for towards_tag, frame in recorded.sent:
        if towards_tag and frame[0] >> 2 == 0:
            later.tag.receive(frame)
        elif towards_tag:
            assert reason_of(frame, later.tag) == "forged"
    assert tag.settled == []


def test_session_goes_on_when_a_stranger_says_hello_on_the_same_connection() -> None:
    connection = connected()
    connection.tag.receive(HubHandshake(TAG_ID, bytes(16), HUB_ID, EPOCH, bytes(8)).hello)
    assert connection.tag.next_frame() is not None  # a welcome, which proves nothing
    connection.hub.identify(1)
    connection.run()
    assert connection.events[-1] == Replied(m.IDENTIFY, m.STATUS_OK, b"")


def test_session_hellos_and_guesses_are_limited() -> None:
    key = hub_key(ROOT_KEY, HUB_ID, EPOCH)
    hello = HubHandshake(TAG_ID, key, HUB_ID, EPOCH, bytes(8)).hello
    end = TagEnd(TagHandshake(TAG_ID, lambda *_: key, random.Random(1).randbytes), JournalTag(set()))
    for _ in range(HELLOS_MAX):
        end.receive(hello)
    assert reason_of(hello, end) == "flow"
    guess = Channel(bytes(16), TAG_ID, True).seal(b"")
    assert [reason_of(guess, end) for _ in range(FORGED_MAX + 1)] == ["forged"] * FORGED_MAX + ["flow"]


def test_session_answers_that_nobody_fetches_are_bounded() -> None:
    connection = connected()
    sender = connection.hub._channel
    assert sender is not None
    sixteen = m.encode_message(m.IDENTIFY, b"\x01") * m.MESSAGES_MAX
    for _ in range(3):
        connection.tag.receive(sender.seal(sixteen))
    assert reason_of(sender.seal(sixteen), connection.tag) == "flow"


def test_session_hub_waits_for_answers_before_it_sends_more() -> None:
    tag = JournalTag(set(range(10)))
    connection = connected(tag)
    for seconds in range(40):
        connection.hub.identify(seconds)
    while (frame := connection.hub.next_frame()) is not None:
        connection.tag.receive(frame)
    assert tag.identified == list(range(m.MESSAGES_MAX))
    connection.run()
    assert tag.identified == list(range(40))


def test_session_that_begins_badly_ends_the_request_before_it() -> None:
    tag = JournalTag(set(range(1000)))
    connection = Connection(tag, [(0, 999)], NonceOracle())
    connection.run(6)
    assert connection.hub.missing
    second = HubHandshake(TAG_ID, connection.key, HUB_ID, EPOCH, bytes(8))
    connection.tag.receive(second.hello)
    channel = second.welcome(connection.tag.next_frame() or b"")
    assert reason_of(channel.seal(b"\x05"), connection.tag) == "format"
    assert m.decode_messages(channel.open(connection.tag.next_frame() or b""))[0][0] == m.STATE
    assert connection.tag.next_frame() is None


def test_session_of_a_hub_that_may_not_talk_is_refused() -> None:
    connection = Connection(JournalTag({1}), [(1, 1)], NonceOracle())
    connection.key = b""
    connection.tag_handshake._key_for = lambda *_: None
    with pytest.raises(DecodeError) as caught:
        connection.run()
    assert caught.value.reason == "refused"


def test_session_hello_of_a_future_version_is_refused_by_name() -> None:
    connection = Connection(JournalTag({1}), [], NonceOracle())
    hello = connection.hub.next_frame() or b""
    connection.tag.receive(bytes([hello[0] + 1]) + hello[1:])
    assert (connection.tag.next_frame() or b"")[1] == m.STATUS_VERSION


def test_session_sealed_frame_before_any_hello_is_refused() -> None:
    frame = Channel(bytes(16), TAG_ID, True).seal(b"")
    assert reason_of(frame, connected().tag) == "replayed"
    key = bytes(16)
    assert reason_of(frame, TagEnd(TagHandshake(TAG_ID, lambda *_: key, bytes), JournalTag(set()))) == "state"


def test_session_answers_to_what_was_not_asked_are_refused() -> None:
    key = bytes(16)
    for plaintext in (
        m.encode_message(m.NEVER_MADE, encode_ranges([(50, 50)])[0]),
        m.encode_message(m.GONE, encode_ranges([(5, 5)])[0]) * 2,
    ):
        hub = HubEnd(HubHandshake(TAG_ID, key, HUB_ID, EPOCH, bytes(8)), [(0, 9)])
        tag_handshake = TagHandshake(TAG_ID, lambda *_: key, bytes)
        hub.receive(tag_handshake.hello(hub.next_frame() or b""))
        tag_handshake.open(hub.next_frame() or b"")
        assert tag_handshake.channel is not None
        assert reason_of(tag_handshake.channel.seal(plaintext), hub) == "unasked"
        assert hub.missing == [(0, 9)]


@given(st.binary(max_size=260), st.booleans())
def test_session_garbage_raises_only_decode_errors(frame: bytes, established: bool) -> None:
    connection = connected() if established else Connection(JournalTag({1}), [], NonceOracle())
    connection.hub.next_frame()
    for end in (connection.tag, connection.hub):
        try:
            end.receive(frame)
        except DecodeError as error:
            assert error.reason in ("length", "version", "kind", "forged", "order", "replayed", "state", "refused")  # noqa: PT017


@given(st.binary(max_size=233))
def test_session_authentic_garbage_raises_only_decode_errors(plaintext: bytes) -> None:
    """What a hub or a tag with the right key, but broken or hostile, can do to the other."""
    for towards_tag in (True, False):
        connection = connected()
        sender = connection.hub._channel if towards_tag else connection.tag_handshake.channel
        assert sender is not None
        try:
            (connection.tag if towards_tag else connection.hub).receive(sender.seal(plaintext))
        except DecodeError as error:
            assert error.reason in ("format", "unasked")  # noqa: PT017
        while connection.tag.next_frame() is not None:
            pass


def test_session_channel_ends_before_a_number_returns() -> None:
    channel = Channel(bytes(16), TAG_ID, True)
    channel._next_sent = 0xFFFF
    channel.seal(b"")
    with pytest.raises(EncodeError):
        channel.seal(b"")


def test_session_hub_key_expires_with_its_day() -> None:
    assert not expired(EPOCH, EPOCH * 86400 + 86399)
    assert expired(EPOCH, EPOCH * 86400 + 86400)
    assert not expired(EPOCH, None)
    assert not expired(EPOCH_FOREVER, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("age_s", "offered_s", "expected"),
    [
        (None, 5, (m.STATUS_OK, 5)),
        (0, 1_000_001, (m.STATUS_LIMITED, 1_000_000)),
        (400, 1_000_010, (m.STATUS_OK, 1_000_010)),
        (400, 1_000_011, (m.STATUS_LIMITED, 1_000_010)),
        (4000, 0, (m.STATUS_LIMITED, 999_900)),
    ],
)
def test_session_time_moves_no_further_than_drift_explains(
    age_s: int | None, offered_s: int, expected: tuple[int, int]
) -> None:
    assert bounded_time(1_000_000, age_s, offered_s) == expected


def test_session_every_status_has_a_name_and_a_value_of_its_own() -> None:
    values = [value for name, value in vars(m).items() if name.startswith("STATUS_")]
    assert len(values) == len(set(values)) == len(STATUS_NAMES)
    assert decode_ranges(encode_ranges([])[0]) == []
