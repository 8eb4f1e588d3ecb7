"""`python -m tagwire decode`: what a beacon or a batch says."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tagwire import explain
from tagwire.batch import MAX_BATCH_BYTES, decode_batch, samples
from tagwire.beacon import ADVERTISEMENT_BYTES, COMPANY_ID_TEST, parse_header
from tagwire.errors import DecodeError, TagwireError
from tagwire.json_lines import to_json_lines
from tagwire.keyring import load_keyring
from tagwire.keys import beacon_key
from tagwire.seal import KEY_BYTES

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


def _company_id(text: str) -> int:
    return _number(text, 0xFFFF)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tagwire", description="The tagstack wire, decoded.")
    decode = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "decode",
        help="say what a beacon or a batch holds",
        description="Decodes a beacon (24 bytes), AdvData around one (31 bytes) or an MQTT batch.",
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
    decode.add_argument("--json", action="store_true", help="JSON for programs; one line a sample for a batch")
    return parser


def _decode(options: argparse.Namespace) -> int:
    text = " ".join(options.what)
    # A file whose name is hexadecimal digits can still be given as ./name.
    data = bytes.fromhex(re.sub(r"[\s:-]", "", text)) if _HEX.fullmatch(text) else _read(text)
    if len(data) > ADVERTISEMENT_BYTES:  # the shortest batch has some 80 bytes
        _print_batch(data, options.json)
    else:
        _print_beacon(data, options)
    return EXIT_OK


def _read(name: str) -> bytes:
    try:
        data = sys.stdin.buffer.read(2 * MAX_BATCH_BYTES + 2) if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise _UsageError(f"neither hexadecimal digits nor a readable file: {name}: {error.strerror}") from None
    stripped = data.strip()
    try:  # hexadecimal digits in a file, too
        return bytes.fromhex(stripped.decode("ascii")) if stripped else data
    except ValueError:
        return data


def _print_batch(data: bytes, as_json: bool) -> None:
    batch = decode_batch(data)
    if as_json:
        print(to_json_lines(batch), end="")
        return
    rows = samples(batch)
    created = explain.iso_time(batch.created_s)
    print(f"batch {batch.sequence} of {batch.hub}, {created}: {len(rows)} samples in {len(data)} bytes")
    for line in to_json_lines(batch).splitlines():
        row = json.loads(line)
        place = "no position" if row["latitude"] is None else f"{row['latitude']:.5f} {row['longitude']:.5f}"
        measured = [
            f"{row[name]:g} {unit}"
            for name, unit in (("temperature_c", "°C"), ("humidity_pct", "%RH"), ("battery_v", "V"))
            if row[name] is not None
        ]
        when = "no time" if row["time"] is None else explain.iso_time(row["time"])
        mark = "  unconfirmed" if row["unconfirmed"] else ""
        name = f"{row['tag']:>10} #{row['counter']:<10}"
        print(f"  {name} {when}  {place}  {'  '.join(measured)}  {row['rssi_dbm']} dBm{mark}")


def _print_beacon(data: bytes, options: argparse.Namespace) -> None:
    rows, frame = explain.split(data, options.company_id)
    candidates = _candidates(frame, options)
    opened = explain.open_with(frame, candidates) if candidates else None
    now_s = int(time.time())
    if options.json:
        print(json.dumps(explain.as_dict(frame, opened, now_s), ensure_ascii=False))
        return
    print(explain.as_text(rows, opened, now_s))
    if opened is None:
        print("\nsealed: --key, --root-key or --keyring opens it")


def _candidates(frame: bytes, options: argparse.Namespace) -> list[explain.Candidate]:
    if options.key:
        return [explain.Candidate(options.generation, options.key)]
    if options.root_key:
        return [explain.Candidate(options.generation, beacon_key(options.root_key, options.generation))]
    if not options.keyring:
        return []
    try:
        entries = load_keyring(options.keyring)
    except OSError as error:
        raise _UsageError(f"keyring {options.keyring}: {error.strerror}") from None
    except DecodeError as error:
        raise _UsageError(f"keyring {options.keyring}: {error.detail}") from None
    tag_id = parse_header(frame).tag_id
    entry = entries.get(tag_id)
    if entry is None:
        raise _UsageError(f"keyring {options.keyring} has no tag {tag_id}")
    candidates = [explain.Candidate(entry.generation, entry.beacon_key)]
    if entry.previous_generation is not None and entry.previous_beacon_key is not None:
        candidates.append(explain.Candidate(entry.previous_generation, entry.previous_beacon_key))
    return candidates


if __name__ == "__main__":
    sys.exit(main())
