"""A hub's life: start everything, keep it up, and end in order."""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Coroutine

from taghub.clock import AirClock, SystemClock
from taghub.courier.courier import Courier
from taghub.embedded_broker import HOST, embedded_broker
from taghub.errors import BrokerError, KeyringError, PortError, RadioError, SpoolError
from taghub.hub import Hub
from taghub.position import position_source
from taghub.radio import Radio, keep, make_radios
from taghub.settings import MqttSettings, Settings
from taghub.spool import Limits, Store, StoreError, lock
from taghub.status import OFFLINE, ONLINE, RadioStatus, will
from taghub.topics import topics
from taghub.trace_file import TraceFile
from taghub.uplink import Uplink
from tagwire.beacon import COMPANY_ID_TEST
from tagwire.errors import DecodeError
from tagwire.keyring import KeyringEntry, load_keyring

CLOCK_INTERVAL_S = 1.0
SPOOL_CHECK_FIRST_S = 30.0
SPOOL_CHECK_S = 86_400.0
STATUS_TIMEOUT_S = 2.0  # for the last status, when everything else is delivered or given up
PRESENCE_LOOK_S = 1.0
NAMES_PAUSE_S = 0.005  # between two slices of some milliseconds: naming tags takes half a core at most
NAMES_INTERVAL_S = 1.0

_logger = logging.getLogger(__name__)


def read_keyring(settings: Settings) -> dict[int, KeyringEntry]:
    """The keyring that the settings name. Raises KeyringError."""
    path = settings.keyring.path
    try:
        return load_keyring(path)
    except OSError as error:
        raise KeyringError(f"{path}: the keyring cannot be read: {error.strerror}") from None
    except DecodeError as error:
        raise KeyringError(f"{path}: {error.detail}") from None


async def run(settings: Settings) -> None:
    """Run a hub until SIGTERM or SIGINT, then deliver what is left and return.

    Raises TaghubError when it cannot start; once it runs, a failing part is restarted and the others go on.
    """
    keyring = read_keyring(settings)
    if settings.hub.company_id == COMPANY_ID_TEST:
        _logger.warning("hub.company_id is %d, which is for tests only", COMPANY_ID_TEST)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        mqtt = settings.mqtt
        if mqtt is None:
            port = settings.broker.port
            await stack.enter_async_context(embedded_broker(port))
            mqtt = MqttSettings.model_validate({"host": HOST, "port": port})
        trace = None
        if settings.trace is not None:
            trace = TraceFile(settings.trace.path)
            stack.callback(trace.close)
        clock = AirClock() if settings.clock.source == "air" else SystemClock()
        position = position_source(settings.position)
        store = _store(settings, mqtt)
        try:
            if settings.spool is not None:
                stack.enter_context(lock(settings.spool.path))
            loaded = store.open()
        except StoreError as error:
            raise SpoolError(f"spool.path: {error}") from None
        if loaded.note:
            _logger.error("%s", loaded.note)
        # Above every number that an earlier run has used; without a file, unless the clock was set back.
        first_sequence = max(loaded.next_sequence, time.time_ns() // 1_000_000)
        hub = Hub(settings, keyring, clock, position, trace, store, loaded, first_sequence)
        writer = asyncio.create_task(hub.spool.run(), name="spool")
        stack.push_async_callback(_end_spool, hub, writer)
        site, name = settings.hub.site, settings.hub.id
        client_id = mqtt.client_id or f"taghub-{site}-{name}"
        radios = make_radios(settings.radio, settings.hub.company_id, clock)
        if settings.courier.enabled:
            connects = [radio.connect for radio in radios]
            hub.courier = Courier(settings.courier, hub, keyring, connects, clock, _limits(settings, mqtt).max_bytes)
        uplink = Uplink(mqtt, client_id, topics(site, name), will(site, name), hub, orders=settings.courier.enabled)
        hub.attach(uplink)
        uplink.start()
        stack.push_async_callback(uplink.stop)
        if not await _first_connection(hub, mqtt, stopping):
            return
        gc.freeze()  # looking at 10,000 tags again and again, for garbage, holds an alarm up for 20 ms
        try:
            await _work(settings, hub, radios, position.run(), writer, stopping)
        finally:
            await _deliver(hub, uplink, mqtt, durable=settings.spool is not None)


def _limits(settings: Settings, mqtt: MqttSettings) -> Limits:
    spool = settings.spool
    if spool is None:
        return Limits(mqtt.outbox_mb * 1_000_000, float("inf"), "oldest")
    return Limits(spool.max_mb * 1_000_000, spool.max_age_h * 3600, spool.when_full)


def _store(settings: Settings, mqtt: MqttSettings) -> Store:
    spool, limits = settings.spool, _limits(settings, mqtt)
    return Store(None, "off", limits) if spool is None else Store(spool.path, spool.durability, limits)


async def _end_spool(hub: Hub, writer: asyncio.Task[None]) -> None:
    hub.spool.stop()
    await writer


async def _work(
    settings: Settings,
    hub: Hub,
    radios: list[Radio],
    position: Coroutine[None, None, None],
    writer: asyncio.Task[None],
    stopping: asyncio.Event,
) -> None:
    """All of a hub's tasks, until it is asked to stop."""
    hub.radios = [RadioStatus(radio.name, False, radio.counts) for radio in radios]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(position, name="position")]
            # A hub whose writer has died would hear and keep nothing: it ends too, and whoever runs it starts it anew.
            tasks.append(group.create_task(_wait(writer), name="spool watch"))
            for index, radio in enumerate(radios):
                tasks.append(group.create_task(_listen(hub, index, radio), name=f"radio {radio.name}"))
            tasks.append(group.create_task(_follow_clock(hub), name="clock"))
            if settings.spool is not None:
                tasks.append(group.create_task(_check_spool(hub), name="spool check"))
            tasks.append(group.create_task(_report(hub, settings.hub.status_interval_s), name="status"))
            tasks.append(group.create_task(_report_presence(hub), name="presence"))
            tasks.append(group.create_task(_name_tags(hub), name="names"))
            if hub.courier is not None:
                tasks.append(group.create_task(hub.courier.run(), name="courier"))
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload_keyring, settings, hub)
            await stopping.wait()
            for task in tasks:
                task.cancel()
    except* (PortError, RadioError) as failures:
        raise failures.exceptions[0] from None


async def _wait(writer: asyncio.Task[None]) -> None:
    await asyncio.shield(writer)


async def _first_connection(hub: Hub, mqtt: MqttSettings, stopping: asyncio.Event) -> bool:
    """Wait for the broker. False when the hub was asked to stop meanwhile. Raises BrokerError."""
    if mqtt.wait_for_broker:
        return True
    waits = [asyncio.create_task(event.wait()) for event in (hub.ever_connected, stopping)]
    await asyncio.wait(waits, timeout=mqtt.start_timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if not hub.ever_connected.is_set() and not stopping.is_set():
        raise BrokerError(
            f"the broker at {mqtt.host}:{mqtt.port} cannot be used: {hub.last_refusal}; "
            "check [mqtt], or set its wait_for_broker = true"
        )
    return hub.ever_connected.is_set()


async def _listen(hub: Hub, index: int, radio: Radio) -> None:
    """Keep one radio open. Raises TaghubError only when a required radio cannot be opened at the start."""
    await keep(radio, lambda reports: hub.take(reports, index), lambda status: hub.radio_changed(index, status))


def _reload_keyring(settings: Settings, hub: Hub) -> None:
    """On SIGHUP. A keyring that cannot be used changes nothing."""
    try:
        keyring = read_keyring(settings)
    except KeyringError as error:
        _logger.error("%s; the keyring before stays in force", error)
        return
    hub.replace_keyring(keyring)
    _logger.info("keyring %s: %d tags", settings.keyring.path, len(keyring))


async def _name_tags(hub: Hub) -> None:
    """Keep the table of private ids at the present epoch, in slices that leave the radios room."""
    while True:
        more = hub.work()
        await asyncio.sleep(NAMES_PAUSE_S if more else NAMES_INTERVAL_S)


async def _follow_clock(hub: Hub) -> None:
    while True:
        await asyncio.sleep(CLOCK_INTERVAL_S)
        hub.follow_clock()


async def _check_spool(hub: Hub) -> None:
    """A fault that nobody reads by chance is found before what lies behind it is needed."""
    await asyncio.sleep(SPOOL_CHECK_FIRST_S)
    while True:
        await hub.spool.check()
        await asyncio.sleep(SPOOL_CHECK_S)


async def _report(hub: Hub, interval_s: float) -> None:
    """The status now and then; a batch that was set aside after a refusal goes again with it."""
    while True:
        await asyncio.sleep(interval_s)
        hub.publish_status(ONLINE)
        hub.send()


async def _report_presence(hub: Hub) -> None:
    while True:
        await asyncio.sleep(PRESENCE_LOOK_S)
        hub.publish_presence()


async def _deliver(hub: Hub, uplink: Uplink, mqtt: MqttSettings, durable: bool) -> None:
    """The last of everything, within bounded time."""
    hub.close_batch()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(mqtt.stop_timeout_s):
            await hub.all_delivered.wait()
    if hub.undelivered_batches and durable:
        _logger.warning("stopped with %d batches undelivered; they are in the spool", hub.undelivered_batches)
    elif hub.undelivered_batches:
        _logger.error("stopped with %d batches undelivered; they are lost", hub.undelivered_batches)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STATUS_TIMEOUT_S):
            await uplink.wait_idle()
            hub.publish_status(OFFLINE)
            await uplink.wait_idle()
