"""The tag's GATT service: interrupt -> queue -> whoever asks. Loaded on demand.

Names, limits and frames: SPEC.md, "GATT service". One connection at a time; what it brings is not judged here.
"""

from bluetooth import BLE, FLAG_NOTIFY, FLAG_READ, FLAG_WRITE, FLAG_WRITE_NO_RESPONSE, UUID

from tagwire.gatt_ids import CONTROL, DATA, FRAMES_MAX, INFO, MTU, SERVICE, frame_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "tag"  # the same for every tag, and with private ids as without
MTU_DEFAULT = 23  # until the central has asked for more

# MicroPython's event codes, which its module does not export.
_CENTRAL_CONNECT = 1
_CENTRAL_DISCONNECT = 2
_GATTS_WRITE = 3
_MTU_EXCHANGED = 21


class Gatt:
    """The service, on the air from `start` to `stop`.

    connection: the handle of the one that is open, None. mtu: of that connection. overrun: it brought more frames than
    wait here. faults: how often the interrupt handler failed, which costs that event and nothing else.
    """

    def __init__(self) -> None:
        self.connection: "int | None" = None
        self.mtu = MTU_DEFAULT
        self.overrun = False
        self.faults = 0
        self._frames: "list[bytes]" = []
        self._ble: "Any" = BLE()  # the stubs take value handles for memoryviews
        self._control = self._data = 0

    def start(self, info: bytes, private: bool) -> None:
        """Switch the radio on. private: under an address that nobody has seen before. Raises OSError."""
        ble = self._ble
        ble.irq(self._on_event)
        ble.active(True)
        if private:
            ble.config(addr_mode=3)
        ble.config(gap_name=NAME, mtu=MTU)
        ((info_value, self._control, self._data),) = ble.gatts_register_services(
            (
                (
                    UUID(SERVICE),
                    (
                        (UUID(INFO), FLAG_READ),
                        (UUID(CONTROL), FLAG_WRITE | FLAG_WRITE_NO_RESPONSE),
                        (UUID(DATA), FLAG_NOTIFY),
                    ),
                ),
            )
        )
        ble.gatts_write(info_value, info)
        # One byte more than a frame may have: a longer write is cut to that, and seen to be too long.
        ble.gatts_set_buffer(self._control, frame_bytes(MTU) + 1)

    def advertise(self, adv_data: bytes, interval_ms: int) -> None:
        """Accept a connection, which ends the advertising. Raises OSError."""
        self._ble.gap_advertise(interval_ms * 1000, adv_data, connectable=True)

    def next_frame(self) -> "bytes | None":
        """The earliest frame that waits, None when there is none."""
        return self._frames.pop(0) if self._frames else None

    def notify(self, frame: bytes) -> bool:
        """Whether the link took the frame. If not, send the same bytes later: nothing tells when there is room."""
        try:
            self._ble.gatts_notify(self.connection, self._data, frame)
        except (OSError, TypeError):  # no buffer; or no connection any more
            return False
        return True

    def disconnect(self) -> None:
        """End the connection, if there is one; its event follows."""
        connection = self.connection
        if connection is not None:
            try:
                self._ble.gap_disconnect(connection)
            except OSError:
                self.connection = None  # the stack does not know it any more

    def stop(self) -> None:
        """Off the air, as it must be before deep sleep."""
        self._ble.active(False)
        self._ble.irq(None)
        self.connection = None
        self._frames = []

    def _on_event(self, event: int, data: "tuple[Any, ...]") -> None:
        """Runs on the Bluetooth task, on 6 KB of stack. An exception that left it would make the tag deaf for good."""
        try:
            if event == _GATTS_WRITE:
                if data[0] == self.connection and data[1] == self._control:
                    if len(self._frames) < FRAMES_MAX:
                        self._frames.append(self._ble.gatts_read(self._control))
                    else:
                        self.overrun = True
            elif event == _CENTRAL_CONNECT:
                self.connection = data[0]
                self.mtu = MTU_DEFAULT
                self.overrun = False
                self._frames = []
            elif event == _CENTRAL_DISCONNECT:
                if data[0] == self.connection:
                    self.connection = None
            elif event == _MTU_EXCHANGED:
                if data[0] == self.connection:
                    self.mtu = data[1]
        except BaseException:
            self.faults += 1
