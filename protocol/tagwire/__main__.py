"""`python -m tagwire decode`: what a beacon, a batch or JSON lines say."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tagwire import explain
from tagwire.batch import Sample, decode_batch, samples
from tagwire.beacon import ADVERTISEMENT_BYTES, COMPANY_ID_TEST, HINT_PRIVATE, KIND_SERVICE, parse_header
from tagwire.consumer import decode_publish
from tagwire.errors import DecodeError, TagwireError
from tagwire.json_lines import json_line
from tagwire.keyring import load_keyring
from tagwire.keys import beacon_key, id_key
from tagwire.seal import KEY_BYTES

INPUT_BYTES_MAX = 8_000_000
EXIT_OK = 0
EXIT_UNDECODABLE = 1
EXIT_USAGE = 2

_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[\s:-]*)+")
_EPILOG = """\
examples:
  python -m tagwire decode 01eeffc0002a00...                   the clear part of a beacon, byte by byte
  python -m tagwire decode --root-key 1011..1f 02010609...     opens AdvData with a tag's root key
  python -m tagwire decode --keyring keyring.jsonl --json ...  the same with a hub's keyring, as JSON
  mosquitto_sub -N -C 1 -t 'tags/v1/+/+/samples' | python -m tagwire decode -

exit codes: 0 decoded; 1 not a valid frame, or no key opens it; 2 wrong usage, unreadable file
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _decode(options)
    except _UsageError as error:
        print(f"tagwire: {error}", file=sys.stderr)
        return EXIT_USAGE
    except TagwireError as error:
        print(f"tagwire: {error}", file=sys.stderr)
        return EXIT_UNDECODABLE
    except BrokenPipeError:  # `... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:  # standard output on a full disk
        print(f"tagwire: the output cannot be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_USAGE


class _UsageError(Exception):
    pass


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise argparse.ArgumentTypeError(f"a key has {2 * KEY_BYTES} hexadecimal digits")  # without showing it
    return key


def _number(text: str, largest: int) -> int:
    number = int(text, 0)
    if not 0 <= number <= largest:
        raise ValueError
    return number


def _generation(text: str) -> int:
    return _number(text, 255)


def _tag_id(text: str) -> int:
    return _number(text, 0xFFFFFFFF)


def _company_id(text: str) -> int:
    return _number(text, 0xFFFF)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tagwire", description="The tagstack wire, decoded.")
    decode = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "decode",
        help="say what a beacon or a batch holds",
        description="Decodes a beacon (24 bytes), AdvData around one (31 bytes), an MQTT batch or JSON lines.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    decode.add_argument("what", nargs="+", help="hexadecimal digits, a file, or - for standard input")
    keys = decode.add_mutually_exclusive_group()
    keys.add_argument("--key", type=_key, metavar="HEX", help="K_beacon of --generation")
    keys.add_argument("--root-key", type=_key, metavar="HEX", help="the tag's root key; with --generation")
    keys.add_argument("--keyring", type=Path, metavar="FILE", help="a hub's keyring; the tag id chooses the entry")
    decode.add_argument("--generation", type=_generation, default=0, metavar="N", help="0 to 255 (0)")
    decode.add_argument(
        "--company-id", type=_company_id, default=COMPANY_ID_TEST, metavar="N", help="of the AdvData (0xffff)"
    )
    decode.add_argument("--tag-id", type=_tag_id, metavar="N", help="the true id, for a private one with --root-key")
    decode.add_argument(
        "--at", type=int, metavar="UNIX_S", help="when the beacon was heard (now): places its time and its private id"
    )
    decode.add_argument("--json", action="store_true", help="JSON for programs; one line a sample for a batch")
    return parser


def _decode(options: argparse.Namespace) -> int:
    text = " ".join(options.what)
    # A file whose name is hexadecimal digits can still be given as ./name.
    data = bytes.fromhex(re.sub(r"[\s:-]", "", text)) if _HEX.fullmatch(text) else _read(text)
    if data[:1] == b"{":
        _print_lines(data, options.json)
    elif len(data) > ADVERTISEMENT_BYTES:  # the shortest batch has some 80 bytes
        batch = decode_batch(data)
        created = explain.iso_time(batch.created_s)
        rows = samples(batch)
        head = f"batch {batch.sequence} of {batch.hub}, {created}: {len(rows)} samples in {len(data)} bytes"
        _print_samples(head, batch.hub, rows, options.json)
    else:
        _print_beacon(data, options)
    return EXIT_OK


def _read(name: str) -> bytes:
    try:
        data = sys.stdin.buffer.read(INPUT_BYTES_MAX) if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise _UsageError(f"neither hexadecimal digits nor a readable file: {name}: {error.strerror}") from None
    stripped = data.strip()
    try:  # hexadecimal digits in a file, too
        return bytes.fromhex(stripped.decode("ascii")) if stripped else data
    except ValueError:
        return data


def _print_lines(data: bytes, as_json: bool) -> None:
    publish = decode_publish(data)
    _print_samples(f"{len(publish.samples)} samples of {publish.hub}", publish.hub, publish.samples, as_json)


def _print_samples(head: str, hub: str, rows: Sequence[Sample], as_json: bool) -> None:
    lines = [json_line(hub, sample) for sample in rows]
    if as_json:
        print("\n".join(lines))
        return
    print(head)
    for line in lines:
        row = json.loads(line)
        place = "no position" if row["latitude"] is None else f"{row['latitude']:.5f} {row['longitude']:.5f}"
        measured = [
            f"{row[name]:g} {unit}"
            for name, unit in (("temperature_c", "°C"), ("humidity_pct", "%RH"), ("battery_v", "V"))
            if row[name] is not None
        ]
        when = "no time" if row["time"] is None else explain.iso_time(row["time"])
        marks = [f"alarm: {row['alarm']}"] if "alarm" in row else []
        marks += [row["source"]] if "source" in row else []
        marks += ["unconfirmed"] if row["unconfirmed"] else []
        name = f"{row['tag']:>10} #{row['counter']:<10}"
        print("  ".join(["", name + f" {when}", place, *measured, f"{row['rssi_dbm']} dBm", *marks]))


def _print_beacon(data: bytes, options: argparse.Namespace) -> None:
    rows, frame = explain.split(data, options.company_id)
    now_s = int(time.time()) if options.at is None else options.at
    sealed = parse_header(frame).kind != KIND_SERVICE
    candidates = _candidates(frame, options) if sealed else []
    opened = explain.open_with(frame, candidates, now_s) if candidates else None
    if options.json:
        print(json.dumps(explain.as_dict(frame, opened, now_s), ensure_ascii=False))
        return
    print(explain.as_text(rows, opened, now_s))
    if sealed and opened is None:
        print("\nsealed: --key, --root-key or --keyring opens it")


def _candidates(frame: bytes, options: argparse.Namespace) -> list[explain.Candidate]:
    header = parse_header(frame)
    private = bool(header.hints & HINT_PRIVATE)
    if private and (options.key or (options.root_key and options.tag_id is None)):
        raise _UsageError("the id is private: give --root-key with --tag-id, or --keyring")
    if options.key:
        return [explain.Candidate(options.generation, options.key)]
    if options.root_key:
        opens, names = (derive(options.root_key, options.generation) for derive in (beacon_key, id_key))
        return [explain.Candidate(options.generation, opens, names, options.tag_id)]
    if not options.keyring:
        return []
    try:
        entries = load_keyring(options.keyring)
    except OSError as error:
        raise _UsageError(f"keyring {options.keyring}: {error.strerror}") from None
    except DecodeError as error:
        raise _UsageError(f"keyring {options.keyring}: {error.detail}") from None
    if not private and header.tag_id not in entries:
        raise _UsageError(f"keyring {options.keyring} has no tag {header.tag_id}")
    candidates = []
    for entry in entries.values() if private else [entries[header.tag_id]]:
        candidates.append(explain.Candidate(entry.generation, entry.beacon_key, entry.id_key, entry.tag_id))
        if entry.previous_generation is not None and entry.previous_beacon_key is not None:
            previous = (entry.previous_generation, entry.previous_beacon_key, entry.previous_id_key, entry.tag_id)
            candidates.append(explain.Candidate(*previous))
    return candidates


if __name__ == "__main__":
    sys.exit(main())
