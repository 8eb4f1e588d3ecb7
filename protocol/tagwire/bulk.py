"""Many samples at once: the arithmetic of `fields` and the seal of `beacon` on numpy arrays. Host only.

Equal to the portable code bit by bit; tests/protocol holds the two against each other.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from numpy.typing import ArrayLike, NDArray

from tagwire import alarm, fields
from tagwire.beacon import (
    ADVERTISEMENT_BYTES,
    BEACON_BYTES,
    HEADER_BYTES,
    HINT_BACKLOG,
    HINT_CONNECTABLE,
    HINT_PRIVATE,
    KIND_ALARM,
    KIND_SAMPLE,
    MIC_BYTES,
    NAME_BYTES,
    VERSION,
    advertisement,
)
from tagwire.bulk_ccm import FRAMES_PER_KEY_MIN, group_by_key, open_frames
from tagwire.errors import REASON_LENGTH, DecodeError, EncodeError
from tagwire.fields import BODY_BYTES
from tagwire.seal import KEY_BYTES, NONCE_BYTES, aes128

Int64s = NDArray[np.int64]
Bytes2D = NDArray[np.uint8]
"""One frame a row."""

Sealer = Callable[[bytes, bytes, bytes], bytes]
"""Nonce, body and associated data to the sealed body with its MIC."""

NOT_AVAILABLE = int(np.iinfo(np.int64).min)
"""Stands for `None` in the columns of a reading."""


class ReadingColumns(NamedTuple):
    """`fields.Reading`, a column per value; NOT_AVAILABLE stands for None."""

    latitude_e7: Int64s
    longitude_e7: Int64s
    temperature_mc: Int64s
    humidity_mpct: Int64s
    battery_mv: Int64s
    fix: Int64s
    motion: Int64s
    time_s: Int64s
    time_quality: Int64s


class CodeColumns(NamedTuple):
    """`fields.Codes`, a column per code, 'not available' codes included."""

    latitude: Int64s
    longitude: Int64s
    temperature: Int64s
    humidity: Int64s
    battery: Int64s
    fix: Int64s
    motion: Int64s
    time: Int64s
    time_quality: Int64s


def _quantised(values: Int64s, low: int, high: int, not_available: int, to_code: Callable[[Int64s], Int64s]) -> Int64s:
    """Values to codes. Clipping before the arithmetic saturates like clipping after it, and cannot overflow."""
    return np.where(values == NOT_AVAILABLE, not_available, to_code(np.clip(values, low, high)))


def to_codes(readings: ReadingColumns) -> CodeColumns:
    """Quantise readings to the nearest codes, as `fields.to_codes` does. Raises EncodeError."""
    (latitude_e7, longitude_e7, temperature_mc, humidity_mpct, battery_mv, fix, motion, time_s, quality) = (
        np.asarray(column, np.int64) for column in readings
    )
    for name, codes, largest in (("fix", fix, 7), ("motion", motion, 3), ("time quality", quality, 3)):
        if codes.size and (codes.min() < 0 or codes.max() > largest):
            raise EncodeError(f"a code of {name} is out of range")
    no_position = latitude_e7 == NOT_AVAILABLE
    if (no_position != (longitude_e7 == NOT_AVAILABLE)).any():
        raise EncodeError("a position needs latitude and longitude")
    no_position |= fix == fields.FIX_NONE
    half_latitude, half_longitude = fields.LATITUDE_SPAN_E7 // 2, fields.LONGITUDE_SPAN_E7 // 2
    latitude = (np.clip(latitude_e7, -half_latitude, half_latitude) + half_latitude) * fields.LATITUDE_MAX
    longitude = (np.clip(longitude_e7, -half_longitude, half_longitude) + half_longitude) * fields.LONGITUDE_MAX
    no_time = (time_s == NOT_AVAILABLE) | (quality == fields.TIME_UNKNOWN)
    steps = (np.where(no_time, 0, time_s) + fields.TIME_STEP_S // 2) // fields.TIME_STEP_S
    return CodeColumns(
        np.where(no_position, fields.LATITUDE_NA, (latitude + half_latitude) // fields.LATITUDE_SPAN_E7),
        np.where(no_position, fields.LONGITUDE_NA, (longitude + half_longitude) // fields.LONGITUDE_SPAN_E7),
        _quantised(
            temperature_mc,
            fields.TEMPERATURE_MIN_MC,
            fields.TEMPERATURE_MIN_MC + fields.TEMPERATURE_MAX * fields.TEMPERATURE_STEP_MC,
            fields.TEMPERATURE_NA,
            lambda mc: (mc - fields.TEMPERATURE_MIN_MC + 50) // fields.TEMPERATURE_STEP_MC,
        ),
        _quantised(
            humidity_mpct,
            0,
            fields.HUMIDITY_MAX * fields.HUMIDITY_STEP_MPCT,
            fields.HUMIDITY_NA,
            lambda mpct: (mpct + 250) // fields.HUMIDITY_STEP_MPCT,
        ),
        _quantised(
            battery_mv,
            fields.BATTERY_MIN_MV,
            fields.BATTERY_MIN_MV + fields.BATTERY_MAX * fields.BATTERY_STEP_MV,
            fields.BATTERY_NA,
            lambda mv: (mv - fields.BATTERY_MIN_MV + 40) // fields.BATTERY_STEP_MV,
        ),
        np.where(no_position, fields.FIX_NONE, fix),
        motion.copy(),
        steps % fields.TIME_CODES,
        np.where(no_time, fields.TIME_UNKNOWN, quality),
    )


def with_reasons(codes: CodeColumns, reasons: ArrayLike) -> CodeColumns:
    """Samples' codes as those of alarms, as `alarm.with_reason`. Raises EncodeError for a reason beyond 4 bits."""
    bits = np.asarray(reasons, np.int64)
    if bits.size and (bits.min() < 0 or bits.max() > alarm.REASON_MAX):
        raise EncodeError("a reason is out of range")
    cells = (
        np.where(column == not_available, column >> 2, np.minimum(column >> 2, (not_available >> 2) - 1))
        for column, not_available in ((codes.latitude, fields.LATITUDE_NA), (codes.longitude, fields.LONGITUDE_NA))
    )
    latitude, longitude = (cell << 2 for cell in cells)
    return codes._replace(latitude=latitude | bits & 3, longitude=longitude | bits >> 2)


def reasons_of(codes: CodeColumns) -> Int64s:
    """The reasons in alarms' codes; of rows that are no alarm, a number without a meaning."""
    return np.asarray(codes.latitude & 3 | (codes.longitude & 3) << 2)


def from_codes(codes: CodeColumns, alarms: NDArray[np.bool_] | None = None) -> ReadingColumns:
    """The readings that codes stand for, as `fields.from_codes`: `time_s` is only known modulo 4,096 s.

    Where `alarms` is true, a row is read as `alarm.alarm_reading` does: its position is the middle of a cell.
    """
    (latitude, longitude, temperature, humidity, battery, fix, motion, time, quality) = (
        np.asarray(column, np.int64) for column in codes
    )
    no_position = (fix == fields.FIX_NONE) | (latitude > fields.LATITUDE_MAX) | (longitude > fields.LONGITUDE_MAX)
    latitude_e7 = (latitude * fields.LATITUDE_SPAN_E7 + fields.LATITUDE_MAX // 2) // fields.LATITUDE_MAX
    longitude_e7 = (longitude * fields.LONGITUDE_SPAN_E7 + fields.LONGITUDE_MAX // 2) // fields.LONGITUDE_MAX
    if alarms is not None:
        cells = latitude >> 2, longitude >> 2
        no_cell = (fix == fields.FIX_NONE) | (cells[0] == alarm.LATITUDE_CELL_NA)
        no_position = np.where(alarms, no_cell | (cells[1] == alarm.LONGITUDE_CELL_NA), no_position)
        middles = (
            ((8 * cell + 3) * span + largest) // (2 * largest)
            for cell, span, largest in zip(
                cells,
                (fields.LATITUDE_SPAN_E7, fields.LONGITUDE_SPAN_E7),
                (fields.LATITUDE_MAX, fields.LONGITUDE_MAX),
                strict=True,
            )
        )
        latitude_e7, longitude_e7 = (
            np.where(alarms, middle, plain) for middle, plain in zip(middles, (latitude_e7, longitude_e7), strict=True)
        )
    temperature_mc = temperature * fields.TEMPERATURE_STEP_MC + fields.TEMPERATURE_MIN_MC
    return ReadingColumns(
        np.where(no_position, NOT_AVAILABLE, latitude_e7 - fields.LATITUDE_SPAN_E7 // 2),
        np.where(no_position, NOT_AVAILABLE, longitude_e7 - fields.LONGITUDE_SPAN_E7 // 2),
        np.where(temperature > fields.TEMPERATURE_MAX, NOT_AVAILABLE, temperature_mc),
        np.where(humidity > fields.HUMIDITY_MAX, NOT_AVAILABLE, humidity * fields.HUMIDITY_STEP_MPCT),
        np.where(battery > fields.BATTERY_MAX, NOT_AVAILABLE, battery * fields.BATTERY_STEP_MV + fields.BATTERY_MIN_MV),
        np.where(no_position, fields.FIX_NONE, fix),
        np.where(motion > fields.MOTION_MOVING, fields.MOTION_UNKNOWN, motion),
        np.where(quality == fields.TIME_UNKNOWN, NOT_AVAILABLE, time * fields.TIME_STEP_S),
        quality.copy(),
    )


def pack_bodies(codes: CodeColumns) -> Bytes2D:
    """Codes, which must be in range (`to_codes` makes them so), to uint8[n, 11]."""
    (latitude, longitude, temperature, humidity, battery, fix, motion, time, quality) = (
        np.asarray(column).astype(np.uint64) for column in codes
    )
    words = np.empty((len(latitude), 2), "<u8")  # the 88 bits, in two words; bits above 64 fall off the first
    words[:, 0] = latitude | longitude << 23 | temperature << 47 | humidity << 58
    words[:, 1] = humidity >> 6 | battery << 2 | fix << 7 | motion << 10 | time << 12 | quality << 22
    return np.ascontiguousarray(words.view(np.uint8).reshape(-1, 16)[:, :BODY_BYTES])


def unpack_bodies(bodies: Bytes2D) -> CodeColumns:
    """uint8[n, 11] to codes. Raises DecodeError("length") for rows of another length."""
    if bodies.ndim != 2 or bodies.shape[1] != BODY_BYTES:
        raise DecodeError(REASON_LENGTH, f"sample bodies are n rows of 11 bytes, not {bodies.shape}")
    padded = np.zeros((len(bodies), 16), np.uint8)
    padded[:, :BODY_BYTES] = bodies
    words = padded.view("<u8").astype(np.uint64)
    low, high = words[:, 0], words[:, 1]
    return CodeColumns(
        *(
            column.astype(np.int64)
            for column in (
                low & 0x7FFFFF,
                low >> 23 & 0xFFFFFF,
                low >> 47 & 0x7FF,
                low >> 58 | (high & 3) << 6,
                high >> 2 & 0x1F,
                high >> 7 & 7,
                high >> 10 & 3,
                high >> 12 & 0x3FF,
                high >> 22,
            )
        )
    )


def _rows(frames: Bytes2D) -> list[bytes]:
    """Each row as bytes: one call for all of them, where slicing one long `bytes` is a call per row."""
    return frames.view(f"V{frames.shape[1]}").ravel().tolist()


def private_names(id_keys: Sequence[bytes], epochs: ArrayLike) -> Bytes2D:
    """What each K_id calls its tag in its epoch, as `beacon.private_name`: uint8[n, 6]."""
    blocks = np.zeros((len(id_keys), KEY_BYTES), np.uint8)
    blocks[:, :4] = np.asarray(epochs).astype("<u4").view(np.uint8).reshape(-1, 4)
    sealed = b"".join([aes128(key)(block)[:NAME_BYTES] for key, block in zip(id_keys, _rows(blocks), strict=True)])
    return np.frombuffer(sealed, np.uint8).reshape(-1, NAME_BYTES)


def sealer(key: bytes) -> Sealer:
    """A K_beacon for `seal_with`: some 500 bytes, and a third less time a beacon for a key that seals often. Raises
    EncodeError."""
    if len(key) != KEY_BYTES:
        raise EncodeError("an AES-128 key has 16 bytes")
    return AESCCM(key, MIC_BYTES).encrypt


def seal_beacons(
    keys: Sequence[bytes],
    tag_ids: ArrayLike,
    counters: ArrayLike,
    bodies: Bytes2D,
    hints: ArrayLike = 0,
    kinds: ArrayLike = KIND_SAMPLE,
    names: Bytes2D | None = None,
    epochs: ArrayLike = 0,
) -> Bytes2D:
    """n beacons, uint8[n, 24], each the one that `beacon.seal_beacon` makes.

    `keys` holds K_beacon of each row, 16 bytes; `tag_ids` and `counters` are integer arrays, `hints`, `kinds` and
    `epochs` arrays or one value for all. `names`, from `private_names`, makes all ids private. Under one tag's counter
    body and kind must never change. Raises EncodeError.
    """
    if len(keys) != len(bodies):
        raise EncodeError(f"{len(keys)} keys for {len(bodies)} bodies")
    return seal_with(map(sealer, keys), tag_ids, counters, bodies, hints, kinds, names, epochs)


def seal_with(
    sealers: Iterable[Sealer],
    tag_ids: ArrayLike,
    counters: ArrayLike,
    bodies: Bytes2D,
    hints: ArrayLike = 0,
    kinds: ArrayLike = KIND_SAMPLE,
    names: Bytes2D | None = None,
    epochs: ArrayLike = 0,
) -> Bytes2D:
    """`seal_beacons` with the `sealer` of each row's key, as many as there are bodies."""
    ids, full_counters = np.asarray(tag_ids, np.int64), np.asarray(counters, np.int64)
    n = len(bodies)
    if bodies.shape != (n, BODY_BYTES) or ids.shape != (n,) or full_counters.shape != (n,):
        raise EncodeError("tag ids, counters and bodies of 11 bytes must have the same number of rows")
    for values in (ids, full_counters):
        if n and (values.min() < 0 or values.max() > 0xFFFFFFFF):
            raise EncodeError("a tag id or counter is not within 32 bits")
    bits, kind = (np.broadcast_to(np.asarray(column, np.int64), (n,)) for column in (hints, kinds))
    epoch = np.full(n, epochs, "<u4")
    if (bits & ~(HINT_BACKLOG | HINT_CONNECTABLE)).any() or ((kind != KIND_SAMPLE) & (kind != KIND_ALARM)).any():
        raise EncodeError("a hint or a kind is not one of a sealed beacon")
    if (names is None and epoch.any()) or (names is not None and names.shape != (n, NAME_BYTES)):
        raise EncodeError("private ids have names of 6 bytes, and public ones have no epoch")

    nonces = np.zeros((n, NONCE_BYTES), np.uint8)
    nonces[:, 0] = VERSION | kind << 2 | bits | (0 if names is None else HINT_PRIVATE)
    nonces[:, 1:5] = ids.astype("<u4").view(np.uint8).reshape(n, 4)
    nonces[:, 5:9] = full_counters.astype("<u4").view(np.uint8).reshape(n, 4)
    headers = nonces[:, :HEADER_BYTES].copy()  # the associated data of public ids is the beginning of their nonces
    if names is not None:
        nonces[:, 10:] = epoch.view(np.uint8).reshape(n, 4)[:, :3]
        headers[:, 1:5] = names[:, :4]
        headers[:, 5:] ^= names[:, 4:]
    rows = zip(sealers, _rows(nonces), _rows(np.ascontiguousarray(bodies, np.uint8)), _rows(headers), strict=True)
    sealed = [seal(nonce, body, header) for seal, nonce, body, header in rows]
    beacons = np.empty((n, BEACON_BYTES), np.uint8)
    beacons[:, :HEADER_BYTES] = headers
    beacons[:, HEADER_BYTES:] = np.frombuffer(b"".join(sealed), np.uint8).reshape(n, BEACON_BYTES - HEADER_BYTES)
    return beacons


def open_beacons(
    keys: Sequence[bytes], tag_ids: ArrayLike, counters: ArrayLike, beacons: Bytes2D, epochs: ArrayLike = 0
) -> tuple[Bytes2D, NDArray[np.bool_]]:
    """The bodies of n beacons, uint8[n, 11], and which of them are authentic; the body of one that is not is zeros.

    `keys`, `tag_ids` (the true ones) and `counters` (the whole ones) are what each is tried with, `epochs` those of
    private ids. For whoever knows the counters, as of a replayed capture; a receiver has to infer them. Raises
    EncodeError.
    """
    n = len(keys)
    if beacons.shape != (n, BEACON_BYTES):
        raise EncodeError(f"beacons are {n} rows of 24 bytes, not {beacons.shape}")
    nonces = np.zeros((n, NONCE_BYTES), np.uint8)
    nonces[:, 0] = beacons[:, 0]
    nonces[:, 1:5] = np.asarray(tag_ids, "<u4").view(np.uint8).reshape(n, 4)
    nonces[:, 5:9] = np.asarray(counters, "<u4").view(np.uint8).reshape(n, 4)
    nonces[:, 10:] = np.full(n, epochs, "<u4").view(np.uint8).reshape(n, 4)[:, :3]
    groups = group_by_key(keys)
    if n >= len(groups[0]) * FRAMES_PER_KEY_MIN:
        return open_frames(groups, nonces, beacons[:, :HEADER_BYTES], beacons[:, HEADER_BYTES:], MIC_BYTES)
    rows = _rows(np.ascontiguousarray(beacons))
    ciphers: dict[bytes, AESCCM] = {}
    bodies = []
    for key, nonce, row in zip(keys, _rows(nonces), rows, strict=True):
        cipher = ciphers.get(key)
        if cipher is None:
            cipher = ciphers[key] = AESCCM(key, MIC_BYTES)
        try:
            bodies.append(cipher.decrypt(nonce, row[HEADER_BYTES:], row[:HEADER_BYTES]))
        except InvalidTag:
            bodies.append(b"")
    authentic = np.array([bool(body) for body in bodies], np.bool_)
    opened = np.frombuffer(b"".join([body or bytes(BODY_BYTES) for body in bodies]), np.uint8)
    return opened.reshape(n, BODY_BYTES), authentic


def advertisements(company_id: int, beacons: Bytes2D) -> Bytes2D:
    """The 31 bytes of AdvData around each beacon: uint8[n, 24] to uint8[n, 31]. Raises EncodeError."""
    if beacons.ndim != 2 or beacons.shape[1] != BEACON_BYTES:
        raise EncodeError(f"beacons are n rows of 24 bytes, not {beacons.shape}")
    prefix = advertisement(company_id, bytes(BEACON_BYTES))[:-BEACON_BYTES]
    adv = np.empty((len(beacons), ADVERTISEMENT_BYTES), np.uint8)
    adv[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    adv[:, len(prefix) :] = beacons
    return adv
