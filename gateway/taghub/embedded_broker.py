"""The embedded MQTT 5 broker: iotcore (rumqttd) in a child process, on the loopback address only.

For desks, tests and small runs. It forgets everything at its end; use another broker where that matters.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from taghub.errors import PortError

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
RESTART_PAUSE_S = 1.0
LINGER_S = 0.3  # rumqttd acknowledges a publish before it has passed it on

# Only an MQTT 5 listener: beside a 3.1.1 one, the first publish with properties would stop that one for good.
# The payload limit counts headers too, and rumqttd's own 20 KB would close the connection on a full batch.
_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "taghub"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""

_logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[None]:
    """A broker that listens from the first moment inside to the end; restarted should it die.

    Raises PortError when the port is in use.
    """
    _check_port(port)
    with tempfile.TemporaryDirectory(prefix="taghub-broker-") as folder:
        config = Path(folder) / "rumqttd.toml"
        config.write_text(_CONFIG.format(host=HOST, port=port), "utf-8")
        process = await _started(config, port)
        keeper = asyncio.create_task(_keep_running(process, config, port), name="embedded broker")
        try:
            yield
            await asyncio.sleep(LINGER_S)
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper


async def _keep_running(process: asyncio.subprocess.Process, config: Path, port: int) -> None:
    try:
        while True:
            status = await process.wait()
            _logger.error("the embedded broker ended with status %d; starting it again", status)
            await asyncio.sleep(RESTART_PAUSE_S)
            try:
                process = await _started(config, port)
            except PortError as error:
                _logger.error("%s", error)
    finally:
        await _stop(process)


async def _started(config: Path, port: int) -> asyncio.subprocess.Process:
    """The running child, once it accepts connections."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taghub.embedded_broker", str(config), stdin=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return process
    except TimeoutError:
        pass
    except BaseException:
        await _stop(process)
        raise
    await _stop(process)
    raise PortError(f"the embedded broker does not listen on {HOST}:{port}: choose another [broker] port")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()  # it has nothing to save
        await process.wait()


def _check_port(port: int) -> None:
    """A clear error before the broker's own unclear one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortError(
                f"{HOST}:{port} is not free for the embedded broker ({error.strerror}): set another [broker] port, "
                "or name a broker that runs already under [mqtt]"
            ) from None


def _serve(config: str) -> None:
    """The child: serve until killed, or until the parent's end of stdin closes, however the parent ended."""
    from iotcore import IotCoreBroker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the hub still has to deliver
    logging.basicConfig(level=logging.CRITICAL)  # rumqttd reports each packet as an error

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=config).run_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
