"""Many boards at once: a thread per port takes board after board from flash to tested, until every order is done.

Each thread has its own connection to the inventory, which is where the truth is: this process may be killed at any
moment, and the same command goes on.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tagsmith import jobs
from tagsmith.errors import BenchError, BoardError, CheckError, PortError
from tagsmith.esptool_program import DetectedChip
from tagsmith.flash import DEFAULT_BAUD, FlashPlan, flash
from tagsmith.inventory import Inventory
from tagsmith.jobs import Batch
from tagsmith.lifecycle import REVOKED
from tagsmith.ports import listed
from tagsmith.provision import Done, chip_id, identify, provision_board, refuse_ready
from tagsmith.rawrepl import BAUD, board_on
from tagsmith.records import Order
from tagsmith.selftest import Limits

POLL_S = 0.3
RETRY_PAUSE_S = 1.0  # a cable that was pulled is plugged in again within that, or some of these
WORTH_A_RETRY = (BoardError, CheckError, PortError)


class Row(NamedTuple):
    """One port, now. stage: wait, detect, write, connect, test, ready or failed; share: of that stage, 0 to 1."""

    port: str
    stage: str
    share: float
    tag_id: int | None
    attempt: int
    said: str


class Options(NamedTuple):
    """How a batch is run. plan: what to flash first, None for boards that have the firmware already. once: one board
    per port, then the end; otherwise a port that lost its board waits for the next. attempts: per board."""

    plan: FlashPlan | None = None
    once: bool = False
    attempts: int = 3
    limits: Limits = Limits()
    flash_baud: int = DEFAULT_BAUD
    use_stub: bool = True
    baud: int = BAUD
    who: str | None = None


class BatchRun:
    """Runs one batch on some ports. on_row is called from the ports' threads, once per change."""

    def __init__(
        self, inventory: Path, name: str, ports: Sequence[str], options: Options, on_row: Callable[[Row], None]
    ) -> None:
        self._inventory = inventory
        self._name = name
        self._ports = ports
        self._options = options
        self._on_row = on_row
        self._stop = threading.Event()
        self._faults: list[Exception] = []

    def run(self, orders: Sequence[Order]) -> bool:
        """Returns when no line is left to do, or each port's board was tried once; whether all lines are ready.

        Raises InventoryError, and KeyboardInterrupt once every board is at a safe point.
        """
        with self._open() as inventory:
            batch = Batch(inventory, self._name)
            batch.begin(orders)
            threads = [
                threading.Thread(target=self._guarded, args=(port,), name=f"port {port}") for port in self._ports
            ]
            for thread in threads:
                thread.start()
            try:
                for thread in threads:
                    thread.join()
            except KeyboardInterrupt:
                self.stop()
                for thread in threads:
                    thread.join()
                raise
            for fault in self._faults:
                raise fault
            return batch.is_done()

    def stop(self) -> None:
        """Every port ends after the board that it works on."""
        self._stop.set()

    def _open(self) -> Inventory:
        return Inventory(self._inventory, self._options.who)

    def _guarded(self, port: str) -> None:
        try:
            with self._open() as inventory:
                _Port(port, Batch(inventory, self._name), inventory, self._options, self._on_row, self._stop).run()
        except Exception as error:  # whatever it is, it belongs to the caller of `run`; the other ports end
            self._faults.append(error)
            self.stop()


class _Port:
    """One port's boards, one after the other."""

    def __init__(
        self,
        port: str,
        batch: Batch,
        inventory: Inventory,
        options: Options,
        on_row: Callable[[Row], None],
        stop: threading.Event,
    ) -> None:
        self._port = port
        self._batch = batch
        self._inventory = inventory
        self._options = options
        self._on_row = on_row
        self._stop = stop
        self._attempt = 0
        self._tag_id: int | None = None
        self._chip: str | None = None  # of the board that this try has reached

    def run(self) -> None:
        # Boards that stay in a jig are looked at even if every line is ready: a tag may be marked for a new key.
        while not self._stop.is_set() and (self._options.once or not self._batch.is_done()):
            if not _is_present(self._port) and not self._options.once:
                self._show("wait", 0.0, "for a board")
                self._stop.wait(POLL_S)
                continue
            self._board()
            if self._options.once:
                return
            while _is_present(self._port) and not self._stop.is_set() and not self._batch.is_done():
                self._stop.wait(POLL_S)  # until it is unplugged

    def _show(self, stage: str, share: float, said: str = "") -> None:
        self._on_row(Row(self._port, stage, share, self._tag_id, self._attempt, said))

    def _board(self) -> None:
        self._tag_id = None
        is_flashed = self._options.plan is None
        for attempt in range(1, self._options.attempts + 1):
            self._attempt = attempt
            self._chip = None
            try:
                if not is_flashed:
                    self._flash()
                    is_flashed = True
                done = self._provision()
            except WORTH_A_RETRY as error:
                self._note(error)
                self._show("failed", 1.0, str(error))
                if self._stop.is_set() or attempt == self._options.attempts:
                    return
                self._stop.wait(RETRY_PAUSE_S)
            except BenchError as error:
                self._note(error)
                self._show("failed", 1.0, str(error))
                return
            else:
                if done is None:
                    return
                faults = "; ".join(f"{part.part}: {part.measured}" for part in done.verdicts if not part.passed)
                state = jobs.READY if done.passed else jobs.FAILED
                self._batch.finish(done.chip, state, faults)
                # Somebody else's unfinished tag, or one with a new key: it has its own order, and takes no line.
                stranger = "" if self._batch.of_chip(done.chip) else "from earlier, not of this batch"
                self._show(state, 1.0, "; ".join(filter(None, (faults, stranger))))
                return

    def _note(self, error: BenchError) -> None:
        if self._chip is not None:
            self._batch.note_failure(self._chip, error.sentence)

    def _flash(self) -> None:
        assert self._options.plan is not None
        flash(
            self._port,
            self._options.plan,
            baud=self._options.flash_baud,
            use_stub=self._options.use_stub,
            show=self._show,
            allow=self._allow_erasing,
        )

    def _allow_erasing(self, chip: DetectedChip) -> None:
        """A board that is ready, of this batch or from earlier, keeps what it has; but not if it gets a new key."""
        self._chip = chip_id(chip)
        refuse_ready(self._inventory, self._chip)
        self._reopen_marked()
        identity = self._inventory.of_chip(self._chip)
        is_new = identity is None or identity.state == REVOKED
        if is_new and self._batch.of_chip(self._chip) is None and not self._batch.waits():
            raise self._batch.has_no_line()

    def _reopen_marked(self) -> None:
        """The line of a tag that is due for a new key is open again."""
        assert self._chip is not None
        identity = self._inventory.of_chip(self._chip)
        if identity is not None and self._inventory.tag(identity.tag_id).due is not None:
            self._batch.reopen(self._chip)

    def _provision(self) -> Done | None:
        self._show("connect", 0.0)
        with board_on(self._port, self._options.baud) as board:
            found = identify(board)
            self._chip = found.chip
            self._reopen_marked()
            job = self._batch.of_chip(found.chip)
            if job is not None and job.state == jobs.READY and job.tag_id == found.tag_id:
                self._tag_id = job.tag_id
                self._show(jobs.READY, 1.0, "since earlier")
                with contextlib.suppress(BoardError):
                    board.restart()
                return None

            def claim() -> int:
                self._tag_id = self._batch.claim(found.chip)
                return self._tag_id

            done = provision_board(
                board,
                found,
                self._inventory,
                claim,
                limits=self._options.limits,
                on_progress=self._show,
            )
            self._tag_id = done.tag_id
            with contextlib.suppress(BoardError):  # unplugged already: it starts when power comes
                board.restart()
        return done


def _is_present(port: str) -> bool:
    if sys.platform == "win32":
        return any(listed_port.device == port for listed_port in listed())
    return Path(port).exists()
