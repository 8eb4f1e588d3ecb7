"""The intake for a whole run of reports at once, as a busy hub needs it: two microseconds a beacon. Pure.

It takes what is plain: beacons of senders that were proven before, each above its tag's last. Of every other tag it
leaves all reports to `Intake.take`, in their order: tags do not depend on each other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from numpy.typing import NDArray

from taghub.heard import HeardRun
from taghub.intake import ACCEPTED, REPEAT, Intake, Sender
from taghub.sample_rows import NO_ROWS, ROW, Rows, joined, rows_of
from tagwire.beacon import HEADER_BYTES
from tagwire.bulk import Bytes2D, Int64s
from tagwire.seal import NONCE_BYTES

RUN_FROM = 24  # reports; fewer cost less one by one
NAME_BYTES = 5  # byte 0 and the id, as sent: what senders are known by

Bools = NDArray[np.bool_]
Decrypt = Callable[[bytes, bytes, bytes], bytes]


def take_run(intake: Intake, run: HeardRun) -> Rows:
    """As `Intake.take`; each tag's samples are in their order."""
    opened = open_run(run, intake.senders)
    intake.counts[ACCEPTED] += len(opened.samples)
    intake.counts[REPEAT] += opened.repeats
    if not len(opened.rest):
        return opened.samples
    return joined([opened.samples, rows_of(intake.take(run.only(opened.rest)))])


class Opened(NamedTuple):
    """The new samples of a run, how many of its reports were repeats, and the indices of those that are left."""

    samples: Rows
    repeats: int
    rest: NDArray[np.intp]


def open_run(run: HeardRun, senders: Mapping[bytes, Sender]) -> Opened:
    """Open what is plain, and move its tags on."""
    found = list(map(senders.get, _rows(run.frames[:, :NAME_BYTES])))
    known = np.arange(len(run)) if None not in found else np.flatnonzero([claim is not None for claim in found])
    claims = [claim for claim in found if claim is not None]
    if not claims:
        return Opened(NO_ROWS, 0, np.arange(len(run)))

    # By tag, and each tag's in the order in which they were heard: a group a tag.
    tag_ids = np.array([claim[0].tag_id for claim in claims], np.int64)
    order = np.argsort(tag_ids, kind="stable")
    tag_ids, index = tag_ids[order], known[order]
    claims = [claims[i] for i in order.tolist()]
    tags, decrypts, finals, _, masks, epochs = zip(*claims, strict=True)
    is_first = np.append(True, tag_ids[1:] != tag_ids[:-1])
    group = np.cumsum(is_first) - 1
    frames, t_us = run.frames[index], run.t_us[index].astype(np.int64)
    rows = _rows(frames)

    low = frames[:, 5].astype(np.int64) | frames[:, 6].astype(np.int64) << 8
    if any(masks):
        low ^= np.array(masks, np.int64)
    step, counters = _inferred(low, np.array([tag.last for tag in tags], np.int64), is_first, group)
    is_repeat = step == 0
    odd = counters > np.array(finals, np.int64)
    odd |= t_us >= np.array([tag.limit_us for tag in tags], np.int64)
    for i in np.flatnonzero(is_repeat).tolist():
        odd[i] |= rows[i] != (tags[i].last_frame if is_first[i] else rows[i - 1])
    is_left = np.zeros(group[-1] + 1, np.bool_)
    is_left[group[odd]] = True

    opening = np.flatnonzero(~(is_repeat | is_left[group]))
    keys = decrypts if len(opening) == len(decrypts) else [decrypts[i] for i in opening.tolist()]
    tails = (counters | np.array(epochs, np.int64)) if any(epochs) else counters
    bodies = _bodies(keys, frames[opening], tag_ids[opening], tails[opening])
    if b"" in bodies:
        is_left[group[opening[[not body for body in bodies]]]] = True
    is_new = ~is_left[group[opening]]
    new = opening[is_new]

    samples = np.empty(len(new), ROW)
    samples["tag_id"], samples["counter"] = tag_ids[new], counters[new]
    samples["body"] = np.array(bodies, ROW["body"])[is_new]
    samples["t_us"], samples["rssi_dbm"], samples["byte0"] = t_us[new], run.rssi_dbm[index[new]], frames[new, 0]
    # The very first sample of a tag is unconfirmed; the one after it, in the same run, is not.
    is_tags_first = np.diff(group[new], prepend=-1) > 0
    samples["unconfirmed"] = is_tags_first & ~np.array([tag.heard for tag in tags], np.bool_)[new]
    for i, counter in zip(new.tolist(), samples["counter"].tolist(), strict=True):
        tag = tags[i]
        tag.last, tag.last_frame, tag.heard = counter, rows[i], True
    repeats = int(np.count_nonzero(is_repeat & ~is_left[group]))
    rest = np.ones(len(run), np.bool_)
    rest[index[~is_left[group]]] = False
    return Opened(samples, repeats, np.flatnonzero(rest))


def _inferred(low: Int64s, last: Int64s, is_first: Bools, group: NDArray[np.intp]) -> tuple[Int64s, Int64s]:
    """How far each counter is above the one before of its tag, and the counter: the smallest above it with those low
    16 bits. The same counter once more is 0 above."""
    before = np.append(0, low[:-1])
    before[is_first] = last[is_first] & 0xFFFF
    step = (low - before) & 0xFFFF
    passed = np.cumsum(step)
    return step, last + passed - (passed - step)[is_first][group]


def _bodies(decrypts: Sequence[Decrypt], frames: Bytes2D, tag_ids: Int64s, tails: Int64s) -> list[bytes]:
    """The body of each frame, empty where it is not authentic. tails: what the nonce has behind the id, SPEC.md,
    "Seal"."""
    nonces = np.empty((len(frames), NONCE_BYTES), np.uint8)
    nonces[:, 0] = frames[:, 0]
    nonces[:, 1:5] = tag_ids.astype("<u4").view(np.uint8).reshape(-1, 4)
    nonces[:, 5:] = tails.astype("<i8").view(np.uint8).reshape(-1, 8)
    bodies = []
    columns = _rows(nonces), _rows(frames[:, HEADER_BYTES:]), _rows(frames[:, :HEADER_BYTES])
    for decrypt, nonce, sealed, header in zip(decrypts, *columns, strict=True):
        try:
            bodies.append(decrypt(nonce, sealed, header))
        except InvalidTag:
            bodies.append(b"")
    return bodies


def _rows(octets: Bytes2D) -> list[bytes]:
    """Each row as bytes: one call for all of them."""
    rows: list[bytes] = np.ascontiguousarray(octets).view(f"V{octets.shape[1]}").ravel().tolist()
    return rows
