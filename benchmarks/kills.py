"""kill -9 of a gateway at random moments under load, and what of the samples it had accepted is lost: none."""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.fleet import make_fleet
from benchmarks.gateway_rig import Rig, mosquitto_path, wait_until
from tagwire import trace
from tagwire.air import FULL_BYTES
from tagwire.batch import decode_batch

ROUNDS = 100
TAGS = 50
FRAMES_PER_S = 1_000


def kill_again_and_again(folder: Path, mosquitto: str, rounds: int) -> int:
    """How many accepted samples never came."""
    fleet = make_fleet(TAGS, 2 * rounds * FRAMES_PER_S // TAGS)
    rig = Rig(folder, mosquitto, fleet.keyring.values(), '---\n[trace]\npath = "trace.bin"\n')
    dice = random.Random(9)
    delivered: set[tuple[int, int]] = set()

    def take(payload: bytes) -> None:
        columns = decode_batch(payload).columns
        delivered.update(zip(columns["tag"].tolist(), columns["counter"].tolist(), strict=True))

    rig.on_samples = take
    records, at = fleet.air_bytes(), 0
    step = FRAMES_PER_S // 100 * FULL_BYTES
    with rig.broker() as link:
        for _ in range(rounds):
            with rig.hub(link.target_port) as air:
                dead = threading.Timer(dice.uniform(0.05, 1.0), rig.kill)
                dead.start()
                with contextlib.suppress(OSError):
                    while dead.is_alive():
                        air.sendall(records[at : at + step])
                        at += step
                        time.sleep(0.01)
                dead.join()
        with rig.hub(link.target_port):
            data = (folder / "trace.bin").read_bytes()
            accepted = {record[1:3] for record in trace.iter_records(data) if record.event == trace.ACCEPTED}
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: accepted <= delivered)
    if len(accepted) < rounds:
        raise RuntimeError(f"only {len(accepted)} samples accepted in {rounds} rounds")
    return len(accepted - delivered)


def figures(runs: int) -> Iterator[Figure]:
    """One run of ROUNDS; of ten of them where few runs are asked for."""
    mosquitto = mosquitto_path()
    if mosquitto is None:
        return
    rounds = ROUNDS if runs > 1 else ROUNDS // 10
    with tempfile.TemporaryDirectory() as folder:
        lost = kill_again_and_again(Path(folder), mosquitto, rounds)
    about = f"under {FRAMES_PER_S:,} frames a second from {TAGS} tags, spool on disk"
    yield Figure("kill9_rounds", "rounds", "higher", ROUNDS, [rounds], about)
    yield Figure("kill9_lost", "samples", "lower", 0, [lost], f"accepted and not delivered, {about}")
