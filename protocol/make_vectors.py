"""Writes protocol/vectors/*.json from the executable specification. The result is the same every time.

    python protocol/make_vectors.py           write them
    python protocol/make_vectors.py --check   exit 1 where a file differs

Every runtime's tests read the same files: CPython's portable code, MicroPython, numpy, the construct reference.
"""

import json
import sys
from pathlib import Path
from typing import Any

from vector_cases.air import air
from vector_cases.alarms import alarms
from vector_cases.batches import batches
from vector_cases.beacons import beacons
from vector_cases.bodies import bodies
from vector_cases.bundles import bundles
from vector_cases.commands import commands
from vector_cases.histories import histories
from vector_cases.keys import keys
from vector_cases.private_ids import private_ids
from vector_cases.provisioning import provisioning
from vector_cases.receiver import receiver
from vector_cases.services import services
from vector_cases.sessions import sessions

FOLDER = Path(__file__).with_name("vectors")

FILES = {
    "body.json": bodies,
    "alarm.json": alarms,
    "keys.json": keys,
    "private.json": private_ids,
    "beacon.json": beacons,
    "service.json": services,
    "receiver.json": receiver,
    "provision.json": provisioning,
    "batch.json": batches,
    "history.json": histories,
    "session.json": sessions,
    "command.json": commands,
    "bundle.json": bundles,
    "air.json": air,
}


def written(value: Any, indent: str = "") -> str:
    """JSON with one line per innermost object, so that a change shows as one line."""
    if isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()) and len(indent) < 2:
        inner = [f"{indent} {json.dumps(k)}: {written(v, indent + ' ')}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{indent}  {json.dumps(v, ensure_ascii=False)}" for v in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    differing = 0
    for name, make in FILES.items():
        path = FOLDER / name
        text = written(make()) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        differing += 1
        print(f"{name} {'differs' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
