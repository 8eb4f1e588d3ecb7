"""Captures: advertisements as HCI events in a btsnoop file, which Wireshark, btmon and bumble read. Pure.

Format: RFC 1761 (snoop) as Bluetooth tools use it; flags and data links as in BlueZ, src/shared/btsnoop.h; events as in
the Core Specification, Vol 4, Part E, 7.7.65.
"""

import struct
from collections.abc import Iterator

from taghub.heard import Advertisement
from tagwire.errors import REASON_FORMAT, REASON_LENGTH, REASON_VERSION, DecodeError

MAGIC = b"btsnoop\0"
VERSION = 1
LINK_HCI = 1001  # packets without a type: what they are is in the flags
LINK_H4 = 1002  # with the type octet of a UART in front
LINK_MONITOR = 2001  # of `btmon -w`: the flags are adapter index and opcode
RECORD_BYTES_MAX = 65_536

_HEADER = struct.Struct(">8sII")
_RECORD = struct.Struct(">IIIIq")  # original length, included length, flags, drops, microseconds since the year 0
_EPOCH_US = 0x00DCDDB30F2F8000  # of 1970, on that scale
_RECEIVED_EVENT = 0x03
_MONITOR_EVENT = 3
_EVENT_PACKET, _LE_META_EVENT, _REPORT, _EXTENDED_REPORT = 0x04, 0x3E, 0x02, 0x0D
_LEGACY_BYTES_MAX = 31
_ADV_IND, _RANDOM_ADDRESS = 0x00, 0x01
_EXTENDED = struct.Struct("<HB6sBBBbbHB6sB")
_RSSI_UNKNOWN = 127


def encode_header() -> bytes:
    """The first 16 bytes of a capture."""
    return _HEADER.pack(MAGIC, VERSION, LINK_H4)


def encode_advertisement(advertisement: Advertisement) -> bytes:
    """One record: a report of a legacy advertisement, an extended one where it is longer than those get.

    An address of anything but six octets in hexadecimal (macOS gives devices names of its own) becomes zeros.
    """
    t_us, rssi_dbm, address_text, adv_data = advertisement
    address = _address(address_text)
    rssi_dbm = rssi_dbm if -127 <= rssi_dbm <= 20 else _RSSI_UNKNOWN
    if len(adv_data) <= _LEGACY_BYTES_MAX:
        head = bytes((_REPORT, 1, _ADV_IND, _RANDOM_ADDRESS))
        report = head + address + bytes((len(adv_data),)) + adv_data + struct.pack("b", rssi_dbm)
    else:
        fields = (0, _RANDOM_ADDRESS, address, 1, 0, 0xFF, _RSSI_UNKNOWN, rssi_dbm, 0, 0, bytes(6), len(adv_data))
        report = bytes((_EXTENDED_REPORT, 1)) + _EXTENDED.pack(*fields) + adv_data
    packet = bytes((_EVENT_PACKET, _LE_META_EVENT, len(report))) + report
    size = len(packet)
    return _RECORD.pack(size, size, _RECEIVED_EVENT, 0, t_us + _EPOCH_US) + packet


def decode_header(data: bytes) -> int:
    """The data link of a capture. Raises DecodeError when it is none, or of a kind that is not known."""
    if len(data) < _HEADER.size:
        raise DecodeError(REASON_LENGTH, "a capture begins with 16 bytes")
    magic, version, link = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise DecodeError(REASON_FORMAT, "not a btsnoop capture")
    if version != VERSION or link not in (LINK_HCI, LINK_H4, LINK_MONITOR):
        raise DecodeError(REASON_VERSION, f"a btsnoop capture of version {version} and data link {link}")
    return int(link)


class Decoder:
    """The advertisements of a capture, whatever else is in it. `feed` it the file in pieces of any size.

    packets: all of them so far, also those that are no advertisements.
    """

    HEADER_BYTES = _HEADER.size

    def __init__(self) -> None:
        self._link: int | None = None
        self._rest = b""
        self.packets = 0

    @property
    def unfinished_bytes(self) -> int:
        """Of a record that was begun and has not ended: not 0 at the end of a file that was cut off."""
        return len(self._rest)

    def end(self) -> None:
        """The file is over. Raises DecodeError for what was no capture, such as an empty file, or is damaged there."""
        self.feed(b"")
        if self._link is None:
            decode_header(self._rest)

    def feed(self, data: bytes) -> list[Advertisement]:
        """Raises DecodeError for what is no capture, or is damaged; what came before is not lost by it."""
        self._rest += data
        if self._link is None:
            if len(self._rest) < _HEADER.size:
                return []
            self._link = decode_header(self._rest)
            self._rest = self._rest[_HEADER.size :]
        found: list[Advertisement] = []
        start = 0
        while len(self._rest) - start >= _RECORD.size:
            _, size, flags, _, t_us = _RECORD.unpack_from(self._rest, start)
            if size > RECORD_BYTES_MAX:
                if found:
                    break  # for the next call to say
                self._rest = self._rest[start:]
                raise DecodeError(REASON_LENGTH, f"a record of {size} bytes: the capture is damaged")
            end = start + _RECORD.size + size
            if end > len(self._rest):
                break
            self.packets += 1
            event = _event(self._link, flags, self._rest[start + _RECORD.size : end])
            found += _advertisements(t_us - _EPOCH_US, event)
            start = end
        self._rest = self._rest[start:]
        return found


def _event(link: int, flags: int, packet: bytes) -> bytes:
    """The HCI event in a record; empty when it is something else."""
    if link == LINK_H4:
        return packet[1:] if packet[:1] == bytes((_EVENT_PACKET,)) else b""
    if link == LINK_MONITOR:
        return packet if flags & 0xFFFF == _MONITOR_EVENT else b""
    return packet if flags & _RECEIVED_EVENT == _RECEIVED_EVENT else b""


def _advertisements(t_us: int, event: bytes) -> Iterator[Advertisement]:
    """The reports in an event. What is cut off or contradicts itself is left out."""
    if len(event) < 4 or event[0] != _LE_META_EVENT or event[1] != len(event) - 2:
        return
    kind, reports, rest = event[2], event[3], event[4:]
    for _ in range(reports):
        if kind == _REPORT:
            if len(rest) < 9 or len(rest) < 10 + rest[8]:
                return
            size, address = rest[8], rest[2:8]
            adv_data, rssi = rest[9 : 9 + size], rest[9 + size : 10 + size]
            rest = rest[10 + size :]
        elif kind == _EXTENDED_REPORT:
            if len(rest) < _EXTENDED.size or len(rest) < _EXTENDED.size + rest[_EXTENDED.size - 1]:
                return
            size, address = rest[_EXTENDED.size - 1], rest[3:9]
            adv_data, rssi = rest[_EXTENDED.size : _EXTENDED.size + size], rest[13:14]
            rest = rest[_EXTENDED.size + size :]
        else:
            return
        yield Advertisement(t_us, int.from_bytes(rssi, "little", signed=True), address[::-1].hex(":").upper(), adv_data)


def _address(text: str) -> bytes:
    try:
        address = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        address = b""
    return address[::-1] if len(address) == 6 else bytes(6)
