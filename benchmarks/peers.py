"""Other makers' decoders, on frames of theirs that say about the same. Each is None where it is not installed."""

import json
import os
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

FRAMES = 4_000


def bthome() -> Callable[[], Callable[[], int]] | None:
    """bthome-ble: an encrypted BTHome v2 advertisement with packet id, temperature, humidity and voltage.

    Calling it makes a thousand parsers, each with its key and its first frame behind it (what is slow about the first
    one is not measured); calling the result parses FRAMES further ones and returns how many.
    """
    try:
        from bthome_ble.parser import BTHomeBluetoothDeviceData
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM
        from habluetooth import BluetoothServiceInfoBleak
    except ImportError:
        return None
    devices = 1_000
    address = "A4:C1:38:8D:18:B2"
    keys = [os.urandom(16) for _ in range(devices)]
    frames: list[Any] = []
    for i in range(devices + FRAMES):
        counter = (200 + i // devices).to_bytes(4, "little")
        nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc\x41" + counter
        clear = bytes([0x00, i // devices, 0x02, 0xCA, 0x09, 0x03, 0xBF, 0x13, 0x0C, 0x80, 0x0E])
        sealed = AESCCM(keys[i % devices], 4).encrypt(nonce, clear, None)
        data = b"\x41" + sealed[:-4] + counter + sealed[-4:]
        frames.append(
            BluetoothServiceInfoBleak(
                name="ATC 8D18B2",
                address=address,
                rssi=-60,
                manufacturer_data={},
                service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": data},
                service_uuids=["0000fcd2-0000-1000-8000-00805f9b34fb"],
                source="local",
                device=None,
                advertisement=None,
                connectable=False,
                time=float(i // devices),
                tx_power=None,
            )
        )

    def prepare() -> Callable[[], int]:
        parsers = [BTHomeBluetoothDeviceData(bindkey=key) for key in keys]
        for parser, frame in zip(parsers, frames, strict=False):
            parser.update(frame)
        if not all(parser.bindkey_verified for parser in parsers):
            raise RuntimeError("bthome-ble does not take its own format")

        def work() -> int:
            for parser, frame in zip(cycle(parsers), islice(frames, devices, None), strict=False):
                if not parser.update(frame).entity_values:
                    raise RuntimeError("bthome-ble has dropped a frame")
            return FRAMES

        return work

    return prepare


def theengs() -> Callable[[], Callable[[], int]] | None:
    """theengsdecoder: RuuviTag data format 5, unsealed, as JSON text in and out, which is its interface."""
    try:
        from TheengsDecoder import decodeBLE
    except ImportError:
        return None
    text = json.dumps({"manufacturerdata": "99040512fc5394c37c0004fffc040cac364200cdcbb8334c884f", "name": "Ruuvi"})
    if not decodeBLE(text):
        raise RuntimeError("theengsdecoder does not know the RuuviTag")

    def work() -> int:
        for _ in range(FRAMES // 4):
            decodeBLE(text)
        return FRAMES // 4

    return lambda: work
