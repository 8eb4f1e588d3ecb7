"""A capture in the place of a radio: the same reports, at the pace they had, faster or slower."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from taghub.btsnoop import Decoder
from taghub.clock import AirClock, Clock
from taghub.errors import RadioError
from taghub.heard import Advertisement, Heard
from taghub.radio.base import COUNT_FOREIGN, COUNT_REPORTS, new_counts
from taghub.radio.link import Connect
from taghub.settings import ReplaySettings
from tagwire.beacon import manufacturer_data
from tagwire.errors import DecodeError

READ_BYTES = 64 * 1024
CHUNK_REPORTS = 1000


class ReplayRadio:
    """With an AirClock the capture's own time is the hub's; with a SystemClock a report is as old as its replay."""

    filtered = False
    silence_s: float | None = None
    steps: frozenset[str] = frozenset()
    connect: Connect | None = None

    def __init__(self, settings: ReplaySettings, company_id: int, clock: Clock) -> None:
        self._path = settings.path
        self._speed = settings.speed
        self._company_id = company_id
        self._clock = clock
        self.name = f"replay {settings.path.name}"
        self.required = settings.required
        self.counts = new_counts()
        self.tap: Callable[[Advertisement], object] | None = None

    async def take_step(self, step: str) -> None:
        raise RadioError(f"a capture knows no {step}")

    async def watch(self, tell: Callable[[str, str], None]) -> None:
        """There is nothing beside `listen`."""

    @contextlib.asynccontextmanager
    async def listen(self, passive: bool | None = None) -> AsyncIterator[AsyncIterator[list[Heard]]]:
        """Replay from the first record; the iterator ends with the capture. See `Radio.listen`."""
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise RadioError(f"radio {self.name}: cannot be read: {error.strerror}") from None
        with file:
            yield self._chunks(iter(lambda: file.read(READ_BYTES), b""))

    async def _chunks(self, pieces: Iterator[bytes]) -> AsyncIterator[list[Heard]]:
        decoder = Decoder()
        pace = _Pace(self._speed)
        chunk: list[Heard] = []
        for piece in pieces:
            try:
                advertisements = decoder.feed(piece)
            except DecodeError as error:
                raise RadioError(f"radio {self.name}: {error.detail}") from None
            for advertisement in advertisements:
                if (delay_s := pace.delay_s(advertisement.t_us)) > 0 or len(chunk) >= CHUNK_REPORTS:
                    if chunk:
                        yield chunk
                        chunk = []
                    await asyncio.sleep(max(delay_s, 0))
                if (report := self._report(advertisement)) is not None:
                    chunk.append(report)
        if chunk:
            yield chunk
        try:
            decoder.end()
        except DecodeError as error:
            raise RadioError(f"radio {self.name}: {error.detail}") from None

    def _report(self, advertisement: Advertisement) -> Heard | None:
        t_us, rssi_dbm, address, adv_data = advertisement
        if isinstance(self._clock, AirClock):
            self._clock.advance(t_us)
        else:
            t_us = self._clock.unix_us()
        if self.tap is not None:
            self.tap(advertisement._replace(t_us=t_us))
        payload = manufacturer_data(adv_data, self._company_id)
        if payload is None:
            self.counts[COUNT_FOREIGN] += 1
            return None
        self.counts[COUNT_REPORTS] += 1
        return Heard(t_us, rssi_dbm, payload, address.encode())


class _Pace:
    """How long to wait before a record of a given time; the first one goes at once."""

    def __init__(self, speed: float) -> None:
        """speed: times real time; 0 for no waiting at all."""
        self._speed = speed
        self._first_us: int | None = None
        self._started_s = 0.0

    def delay_s(self, t_us: int) -> float:
        if not self._speed:
            return 0.0
        now_s = asyncio.get_running_loop().time()
        if self._first_us is None:
            self._first_us, self._started_s = t_us, now_s
        return self._started_s + (t_us - self._first_us) / 1e6 / self._speed - now_s
