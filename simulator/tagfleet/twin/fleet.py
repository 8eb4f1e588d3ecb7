"""Some twins on one virtual link, with an HCI port for a gateway."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from tagfleet.twin.counters import Private, UnknownSeal, is_service, sealed_under
from tagfleet.twin.image import provisioned_image
from tagfleet.twin.interpreter import interpreter_available
from tagfleet.twin.peripheral import Peripheral
from tagfleet.twin.power import PowerSupply
from tagfleet.twin.process import TwinProcess
from tagfleet.twin.radio import HciServer, Link
from tagfleet.twin.spec import TwinSpec
from tagfleet.twin.virtual_board import Advertising, VirtualBoard
from tagwire.beacon import KIND_ALARM, manufacturer_data, parse_header
from tagwire.counter import make_counter
from tagwire.fields import Reading
from tagwire.keys import beacon_key, id_key
from tagwire.seal import aes128

OnMade = Callable[[int, int, Reading, int, bool], None]
OnAdvertised = Callable[[int, bytes, int], None]
OnReported = Callable[[int, bytes, int], None]


class Twin:
    """One twin's parts. board: for faults; process: wakes, crashes and console."""

    def __init__(
        self,
        spec: TwinSpec,
        link: Link,
        flash: Path,
        interpreter: str,
        clock: Callable[[], float],
        supply: PowerSupply,
        on_made: OnMade,
        on_advertised: OnAdvertised,
    ) -> None:
        provision = spec.provision
        flash.write_bytes(spec.image or provisioned_image(provision, spec.first_counter))
        self.tag_id = provision.tag_id
        self.company_id = provision.company_id
        self._peripheral = Peripheral(link, self.tag_id)
        self.board = VirtualBoard(spec, str(flash.absolute()), self._on_advertising, supply, self._peripheral.nimble)
        self.process = TwinProcess(f"tag {self.tag_id}", interpreter, self.board, clock)
        self._root_key = provision.root_key
        self._use_keys_of(provision.generation)
        self._last_counter = spec.first_counter - 1
        self._clock = clock
        self._on_made = on_made
        self._on_advertised = on_advertised

    @property
    def address(self) -> bytes:
        """Its Bluetooth address of this moment, most significant byte first."""
        return self._peripheral.address()

    def silence(self) -> None:
        """Off the air."""
        self._peripheral.stop_advertising()

    def _use_keys_of(self, generation: int) -> None:
        self._generation = generation
        self._encrypt = aes128(beacon_key(self._root_key, generation))
        self._encrypt_id = aes128(id_key(self._root_key, generation))

    def _counter_of(self, frame: bytes) -> int:
        """The counter of a new sample; under a later generation's key once a command has rotated the tag's."""
        near = self._last_counter + 1
        while True:
            private = Private(self.tag_id, self._encrypt_id, self._clock())
            try:
                return sealed_under(self._encrypt, frame, max(near, make_counter(self._generation, 0)), private)
            except UnknownSeal:
                if self._generation == 255:  # the last one
                    raise
                self._use_keys_of(self._generation + 1)

    def _on_advertising(self, advertising: Advertising) -> None:
        if advertising.interval_ms is None:
            self._peripheral.stop_advertising()
            return
        now_us = int(self._clock() * 1_000_000)
        frame = manufacturer_data(advertising.adv_data, self.company_id)
        if frame is not None:
            if advertising.reading is not None and not is_service(frame):
                self._last_counter = self._counter_of(frame)
                alarm = parse_header(frame).kind == KIND_ALARM
                self._on_made(self.tag_id, self._last_counter, advertising.reading, now_us, alarm)
            self._on_advertised(self.tag_id, frame, now_us)
        self._peripheral.start_advertising(advertising.adv_data, advertising.interval_ms, advertising.connectable)


class TwinFleet:
    """Twins that run while the context is entered.

    twins: one spec each. folder: an existing folder; their flash is written anew into it. interpreter: as for
    `interpreter_available`. clock: Unix seconds, the world's and the twins' time; it must run at real speed.
    supplies: a power supply per tag id, where power shall fail.

    on_made(tag_id, counter, truth, t_us, alarm): once per sample, as its first beacon goes on the air; truth is what
    the buses delivered for it, t_us Unix microseconds, alarm whether it is one. A wake that read its sensors and never
    advertised made no sample: its counter, if it took one, is a gap. on_advertised(tag_id, frame, t_us): at the start
    of each burst, repeats included. on_reported(tag_id, frame, t_us): a gateway's controller has reported a frame,
    whatever the gateway makes of it; for each event of a burst and each gateway that scans.

    A twin that seals under a wrong key ends the fleet with UnknownSeal.

    autostart: boot the twins on entering; without it, by `start`, when a gateway is listening.

    `hci_transport` is what a bumble client opens to hear them, `twins` their parts by tag id.
    """

    def __init__(
        self,
        twins: Sequence[TwinSpec],
        folder: Path,
        interpreter: str | None = None,
        clock: Callable[[], float] = time.time,
        on_made: OnMade = lambda tag_id, counter, truth, t_us, alarm: None,
        on_advertised: OnAdvertised = lambda tag_id, frame, t_us: None,
        on_reported: OnReported = lambda tag_id, frame, t_us: None,
        supplies: dict[int, PowerSupply] | None = None,
        autostart: bool = True,
    ) -> None:
        self.twins: dict[int, Twin] = {}
        self.hci_transport = ""
        self._specs = twins
        self._folder = folder
        self._interpreter = interpreter
        self._clock = clock
        self._on_made = on_made
        self._on_advertised = on_advertised
        self._on_reported = on_reported
        self._supplies = supplies or {}
        self._stack = contextlib.AsyncExitStack()
        self._autostart = autostart
        self._group: asyncio.TaskGroup
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "TwinFleet":
        """Raises FileNotFoundError when there is no interpreter, OSError when the folder cannot be written."""
        interpreter = interpreter_available(self._interpreter)
        if interpreter is None:
            raise FileNotFoundError("no MicroPython interpreter")
        link = Link()
        for spec in self._specs:
            tag_id = spec.provision.tag_id
            self.twins[tag_id] = Twin(
                spec,
                link,
                self._folder / f"tag-{tag_id}.flash",
                interpreter,
                self._clock,
                self._supplies.get(tag_id, PowerSupply()),
                self._on_made,
                self._on_advertised,
            )
        server = await self._stack.enter_async_context(HciServer(link, self._on_report))
        self.hci_transport = f"tcp-client:127.0.0.1:{server.port}"
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        if self._autostart:
            self.start()
        return self

    def start(self) -> None:
        """Boot the twins."""
        self._tasks = [
            self._group.create_task(twin.process.run(), name=f"twin {tag_id}") for tag_id, twin in self.twins.items()
        ]

    async def stop(self) -> None:
        """End the twins where they are, as by a power cut; the link and its HCI port stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for twin in self.twins.values():
            twin.silence()

    def _on_report(self, address: bytes, adv_data: bytes) -> None:
        twin = next((one for one in self.twins.values() if one.address == address), None)
        frame = None if twin is None else manufacturer_data(adv_data, twin.company_id)
        if twin is not None and frame is not None:
            self._on_reported(twin.tag_id, frame, int(self._clock() * 1_000_000))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        # Not with the body's error: the task group would wrap it. What a twin raised still comes out, as a group.
        await self._stack.__aexit__(None, None, None)
