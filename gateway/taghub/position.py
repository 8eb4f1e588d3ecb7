"""Where the hub is: fixed by the settings, or asked of gpsd."""

import asyncio
import logging
import time

from taghub.backoff import delay_s
from taghub.gpsd import LINE_BYTES_MAX, WATCH, Position, decode_report
from taghub.settings import FixedPosition, GpsdPosition

RETRY_S_MAX = 30.0
SILENCE_S = 30.0  # gpsd reports about once a second while its receiver lives

_logger = logging.getLogger(__name__)


class FixedSource:
    """A position that never changes, or none at all."""

    def __init__(self, settings: FixedPosition | None) -> None:
        self._position = (
            None
            if settings is None
            else Position(round(settings.latitude * 10_000_000), round(settings.longitude * 10_000_000))
        )

    def current(self) -> Position | None:
        return self._position

    async def run(self) -> None:
        """Nothing has to be kept up."""


class GpsdSource:
    """The last position gpsd gave, unless it is too old. `run` keeps the connection."""

    def __init__(self, settings: GpsdPosition) -> None:
        self._settings = settings
        self._position: Position | None = None
        self._since_s = 0.0

    def current(self) -> Position | None:
        if time.monotonic() - self._since_s > self._settings.max_age_s:
            return None
        return self._position

    async def run(self) -> None:
        """Ask gpsd until cancelled; without it the hub runs on, without a position."""
        attempt = 0
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    self._settings.host, self._settings.port, limit=LINE_BYTES_MAX
                )
                try:
                    attempt = 0
                    writer.write(WATCH)
                    await self._follow(reader)
                finally:
                    writer.close()
                reason = "it has closed the connection"
            except TimeoutError:
                reason = f"nothing heard for {SILENCE_S:.0f} s"
            except (OSError, ValueError) as error:  # ValueError: a line beyond the limit
                reason = str(error)
            attempt += 1
            delay = delay_s(attempt, RETRY_S_MAX)
            _logger.warning("gpsd %s:%d: %s; again in %.0f s", self._settings.host, self._settings.port, reason, delay)
            await asyncio.sleep(delay)

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        while True:
            async with asyncio.timeout(SILENCE_S):
                line = await reader.readline()
            if not line:
                return
            if (position := decode_report(line)) is not None:
                self._position, self._since_s = position, time.monotonic()


PositionSource = FixedSource | GpsdSource


def position_source(settings: FixedPosition | GpsdPosition | None) -> PositionSource:
    """The source that the settings ask for."""
    return GpsdSource(settings) if isinstance(settings, GpsdPosition) else FixedSource(settings)
