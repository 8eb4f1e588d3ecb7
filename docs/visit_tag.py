"""Fetch a tag's samples over Bluetooth, with bleak and tagwire and nothing else.

    python docs/visit_tag.py --tag 7 --hub 45 --key 00112233445566778899aabbccddeeff

Waits until the tag opens a window, connects, asks for its whole journal and prints one line a sample. It settles
nothing: whoever has the platform's acknowledgement does that. See docs/visit.md.
"""

import argparse
import asyncio
import os
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from tagwire import gatt_ids
from tagwire.beacon import HINT_CONNECTABLE, parse_header
from tagwire.errors import DecodeError
from tagwire.fields import from_codes
from tagwire.history import Record, codes_of
from tagwire.hubend import Finished, HubEnd, Received
from tagwire.session import EPOCH_FOREVER, HubHandshake

ANSWER_S = 10.0  # longer than a tag waits for us


def is_waiting(advertisement: AdvertisementData, tag_id: int, company_id: int) -> bool:
    """Whether this is that tag (with a public id), in a window now."""
    try:
        header = parse_header(advertisement.manufacturer_data.get(company_id, b""))
    except DecodeError:
        return False
    return header.tag_id == tag_id and bool(header.hints & HINT_CONNECTABLE)


async def fetch(client: BleakClient, tag_id: int, hub_id: int, epoch: int, key: bytes) -> list[Record]:
    """All samples of a connected tag's journal. Raises DecodeError when the tag declines, TimeoutError when it is
    silent, BleakError when the link breaks: then ask again for what is missing, in another window."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    await client.start_notify(gatt_ids.DATA, lambda _, frame: frames.put_nowait(bytes(frame)))
    handshake = HubHandshake(tag_id, key, hub_id, epoch, os.urandom(8))
    end = HubEnd(handshake, [(0, 0xFFFFFFFF)], gatt_ids.frame_bytes(client.mtu_size))
    records: list[Record] = []
    while True:
        while (frame := end.next_frame()) is not None:
            await client.write_gatt_char(gatt_ids.CONTROL, frame, response=True)
        async with asyncio.timeout(ANSWER_S):
            events = end.receive(await frames.get())
        for event in events:
            if isinstance(event, Received):
                records += event.records
            elif isinstance(event, Finished):
                return records


async def visit(
    arguments: argparse.Namespace, scanner: dict[str, Any] | None = None, client: dict[str, Any] | None = None
) -> None:
    """Wait for the tag, connect, print. scanner, client: options for bleak, for another backend than the system's."""

    def found(_device: BLEDevice, advertisement: AdvertisementData) -> bool:
        return is_waiting(advertisement, arguments.tag, arguments.company)

    device = await BleakScanner.find_device_by_filter(found, timeout=arguments.wait, **(scanner or {}))
    if device is None:
        raise SystemExit(f"tag {arguments.tag} opened no window within {arguments.wait:.0f} s")
    async with BleakClient(device, **(client or {})) as connected:
        records = await fetch(connected, arguments.tag, arguments.hub, arguments.epoch, bytes.fromhex(arguments.key))
    for record in records:
        reading = from_codes(codes_of(record))
        unix_s = record.time_4s * 4 or None
        print(record.counter, unix_s, reading.temperature_mc, reading.humidity_mpct, sep=",")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch a tag's samples over Bluetooth.")
    parser.add_argument("--tag", type=int, required=True, help="its id")
    parser.add_argument("--hub", type=int, required=True, help="the hub id that the key is for")
    parser.add_argument("--key", required=True, help="K_hub, 32 hexadecimal digits")
    parser.add_argument("--epoch", type=int, default=EPOCH_FOREVER, help="the key's last day (default: no end)")
    parser.add_argument("--company", type=int, default=0xFFFF, help="company id (default: the one for tests)")
    parser.add_argument("--wait", type=float, default=3600.0, help="how long to wait for a window, in seconds")
    asyncio.run(visit(parser.parse_args()))


if __name__ == "__main__":
    main()
