"""Listens to tags on the air with the hub's own radios."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from tagsmith.errors import BenchError, PortError, ToolError

try:
    from taghub.errors import TaghubError
    from taghub.intake import Accepted
    from taghub.radio import Radio
    from taghub.radio.named import radio_named
    from taghub.scan import Scan
except ImportError as error:
    raise ToolError(
        f"Listening to tags needs the gateway's parts, and {error.name} is missing.",
        "`pip install 'tagstack[gateway]'`",
    ) from None

__all__ = ["radio_named", "sniff", "sniffing"]


async def sniff(radio: Radio, scan: Scan, on_sample: Callable[[Accepted], None], seconds: float | None = None) -> None:
    """Feeds what the radio hears to the scan, for so long or until cancelled. Raises PortError when it cannot."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), radio.listen() as chunks:
                async for chunk in chunks:
                    for sample in scan.take(chunk):
                        on_sample(sample)
    except TaghubError as error:
        raise PortError(f"{str(error)[:1].upper()}{str(error)[1:]}.", "another --radio, such as bumble:usb:0") from None


@contextlib.contextmanager
def sniffing(
    radio: Radio, scan: Scan, on_sample: Callable[[Accepted], None], on_fault: Callable[[BenchError], None]
) -> Iterator[None]:
    """Sniffs in a thread of its own while entered; on_fault is told when the radio cannot be used."""
    started = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def listen() -> None:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        started.set()
        await sniff(radio, scan, on_sample)

    def run() -> None:
        try:
            asyncio.run(listen())
        except BenchError as error:
            on_fault(error)
        except asyncio.CancelledError:
            pass

    thread = threading.Thread(target=run, name="sniff")
    thread.start()
    started.wait()
    try:
        yield
    finally:
        loop, task = running[0]
        with contextlib.suppress(RuntimeError):  # the radio failed, and its loop is closed
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
