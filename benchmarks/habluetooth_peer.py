"""habluetooth, the Bluetooth layer of Home Assistant, as a peer; None where it is not installed."""

import asyncio
import time
from collections.abc import Callable
from typing import Any


def habluetooth(
    through_bleak: Callable[[Any], Callable[[Any], None]], messages: list[Any]
) -> Callable[[], float] | None:
    """Signals a second of one core's time through the same decoding of bleak's, and habluetooth's scanner and manager
    behind it, to a callback of its user's."""
    try:
        from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus
        from bleak_retry_connector import BleakSlotManager
        from bluetooth_adapters import BluetoothAdapters
        from habluetooth import BluetoothManager, BluetoothScanningMode, HaScanner, set_manager
    except ImportError:
        return None

    class Adapters(BluetoothAdapters):  # type: ignore[misc]
        @property
        def adapters(self) -> dict[str, Any]:
            return {}

        @property
        def default_adapter(self) -> str:
            return "hci0"

        async def refresh(self) -> None:
            pass

    async def run() -> float:
        heard: list[Any] = []

        class Manager(BluetoothManager):  # type: ignore[misc]
            def _discover_service_info(self, service_info: Any) -> None:
                heard.append(service_info)

        manager = Manager(Adapters(), BleakSlotManager())
        set_manager(manager)
        await manager.async_setup()
        scanner = HaScanner(BluetoothScanningMode.ACTIVE, "hci0", "AA:BB:CC:DD:EE:01")
        scanner.async_setup()
        stop = manager.async_register_scanner(scanner)
        backend = BleakScannerBlueZDBus(scanner._async_detection_callback, None, "active", bluez={"adapter": "hci0"})
        parse = through_bleak(backend._handle_advertising_data)
        started_s = time.process_time()
        for message in messages:
            parse(message)
        seconds = time.process_time() - started_s
        stop()
        manager.async_stop()
        assert len(heard) == len(messages), len(heard)
        return len(messages) / seconds

    return lambda: asyncio.run(run())
