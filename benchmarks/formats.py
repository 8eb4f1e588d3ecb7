"""The same samples in other formats, made by those formats' own libraries: what docs/wire.md compares."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import cbor2
import numpy as np
import zstandard

from tagwire import json_lines
from tagwire.batch import Batch, Sample, samples
from tagwire.words import FIX_WORDS, MOTION_WORDS, TIME_WORDS

TYPES = {
    "tag": "uint32",
    "counter": "uint32",
    "time": "int64",
    "latitude": "int32",
    "longitude": "int32",
    "temperature": "int16",
    "humidity": "uint8",
    "battery": "uint8",
    "fix": "uint8",
    "motion": "uint8",
    "quality": "uint8",
}
"""The columns that are compared, in the narrowest type that holds their codes: the best that a table can be given."""


def plain(sample: Sample) -> dict[str, Any]:
    """A sample as an application would write it by hand, without RSSI and hearing time."""
    row: dict[str, Any] = json.loads(json_lines.json_line("", sample))
    for name in ("hub", "heard", "rssi_dbm", "unconfirmed"):
        del row[name]
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}


def json_rows(batch: Batch) -> bytes:
    return json.dumps([plain(sample) for sample in samples(batch)], separators=(",", ":")).encode()


def json_zstd(batch: Batch) -> bytes:
    return zstandard.ZstdCompressor(level=9).compress(json_rows(batch))


def cbor_rows(batch: Batch) -> bytes:
    """Arrays of values under one list of names."""
    rows = [plain(sample) for sample in samples(batch)]
    return cbor2.dumps([list(rows[0]), [list(row.values()) for row in rows]])


def cbor_columns(batch: Batch) -> bytes:
    """Wire codes as plain CBOR arrays, a column each."""
    return cbor2.dumps({name: batch.columns[name].tolist() for name in TYPES})


def _senml(batch: Batch) -> Any:
    from kpn_senml import SenmlPack, SenmlRecord

    pack = SenmlPack("")
    for sample in samples(batch):
        row = plain(sample)
        base = f"{row['tag']:x}:{row['counter']}/"
        units = {"temperature_c": "Cel", "humidity_pct": "%RH", "battery_v": "V", "latitude": "lat", "longitude": "lon"}
        for name, unit in units.items():
            if row[name] is not None:
                pack.add(SenmlRecord(base + name, value=row[name], unit=unit, time=row["time"]))
        state = [FIX_WORDS, MOTION_WORDS, TIME_WORDS]
        code = [words.index(row[name]) for words, name in zip(state, ("fix", "motion", "time_quality"), strict=True)]
        pack.add(SenmlRecord(base + "state", value=code[0] << 4 | code[1] << 2 | code[2], time=row["time"]))
    return pack


def senml_json(batch: Batch) -> bytes:
    return str(_senml(batch).to_json()).encode()


def senml_cbor(batch: Batch) -> bytes:
    return bytes(_senml(batch).to_cbor())


def cayenne_lpp(batch: Batch) -> bytes:
    """A LoRaWAN format of one device each frame: tag and counter stand before each, as a hub would have to add them."""
    from cayennelpp import LppFrame

    frames = []
    for sample in samples(batch):
        row, frame = plain(sample), LppFrame()
        frame.add_unix_time(0, row["time"])
        frame.add_temperature(1, row["temperature_c"])
        frame.add_humidity(2, row["humidity_pct"])
        frame.add_analog_input(3, row["battery_v"])
        frame.add_gps(4, row["latitude"], row["longitude"], 0)
        frame.add_digital_input(5, FIX_WORDS.index(row["fix"]) << 4 | MOTION_WORDS.index(row["motion"]))
        data = bytes(frame)
        frames.append(sample.tag_id.to_bytes(4, "little") + sample.counter.to_bytes(4, "little") + bytes([len(data)]))
        frames.append(data)
    return b"".join(frames)


def _arrow_table(batch: Batch) -> Any:
    import pyarrow

    order = np.lexsort((batch.columns["counter"], batch.columns["tag"]))  # sorted as ours, which helps it
    return pyarrow.table({name: batch.columns[name][order].astype(kind) for name, kind in TYPES.items()})


def parquet_zstd(batch: Batch) -> bytes:
    """Without dictionaries and statistics, in whichever of the encodings for integers is shortest."""
    from pyarrow import parquet

    table, files = _arrow_table(batch), []
    for encoding in ("PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"):
        out = io.BytesIO()
        parquet.write_table(
            table,
            out,
            compression="zstd",
            compression_level=9,
            write_statistics=False,
            use_dictionary=False,
            column_encoding=dict.fromkeys(table.column_names, encoding),
        )
        files.append(out.getvalue())
    return min(files, key=len)


def arrow_zstd(batch: Batch) -> bytes:
    """An Arrow IPC stream."""
    import pyarrow

    table, out = _arrow_table(batch), io.BytesIO()
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table)
    return out.getvalue()


FORMATS: Sequence[tuple[str, str, Callable[[Batch], bytes]]] = (
    ("JSON, an array of objects", "json", json_rows),
    ("the same through zstd", "zstandard", json_zstd),
    ("SenML JSON", "kpn-senml", senml_json),
    ("SenML CBOR", "kpn-senml", senml_cbor),
    ("CBOR, names once, arrays of values", "cbor2", cbor_rows),
    ("CBOR, wire codes in columns", "cbor2", cbor_columns),
    ("CayenneLPP, one frame a sample", "pycayennelpp", cayenne_lpp),
    ("Arrow stream, zstd", "pyarrow", arrow_zstd),
    ("Parquet, zstd, best encoding", "pyarrow", parquet_zstd),
)
"""(what, whose library, how)"""
