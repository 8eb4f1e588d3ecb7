"""Where the hub is: gpsd's own lines, and a gpsd that comes and goes."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from taghub import position
from taghub.gpsd import WATCH, Position, decode_report
from taghub.position import GpsdSource, position_source
from taghub.settings import FixedPosition, GpsdPosition

# As gpsd 3.25 writes them for a u-blox receiver.
VERSION = b'{"class":"VERSION","release":"3.25","rev":"3.25","proto_major":3,"proto_minor":15}\r\n'
DEVICES = b'{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/ttyACM0","driver":"u-blox","bps":9600}]}\r\n'
SKY = b'{"class":"SKY","device":"/dev/ttyACM0","hdop":0.98,"nSat":1,"satellites":[{"PRN":2,"ss":34.0,"used":true}]}\r\n'
TPV_NO_FIX = b'{"class":"TPV","device":"/dev/ttyACM0","mode":1,"time":"2026-01-09T12:00:00.000Z"}\r\n'
TPV_2D = b'{"class":"TPV","mode":2,"time":"2026-01-09T12:00:00.000Z","lat":52.520000000,"lon":13.405000000,"eph":9}\r\n'
TPV_3D = b'{"class":"TPV","mode":3,"lat":-33.868820001,"lon":151.209290000,"altHAE":58.2,"speed":0.1,"eph":4.2}\r\n'


@pytest.mark.parametrize("line", [VERSION, DEVICES, SKY, TPV_NO_FIX, b"", b"\r\n", b"[1]", b'{"class":"TPV","mode":3}'])
def test_line_without_a_position(line: bytes) -> None:
    assert decode_report(line) is None


def test_line_with_a_position() -> None:
    assert decode_report(TPV_2D) == Position(525200000, 134050000)
    assert decode_report(TPV_3D) == Position(-338688200, 1512092900)


@pytest.mark.parametrize("latitude", ["NaN", "91", '"1"', "null", "1e999"])
def test_impossible_position_is_none(latitude: str) -> None:
    assert decode_report(b'{"class":"TPV","mode":3,"lat":%s,"lon":0}' % latitude.encode()) is None


@given(st.one_of(st.binary(), st.text().map(str.encode), st.just(b"[" * 100_000)))
def test_any_line_raises_nothing(line: bytes) -> None:
    decode_report(line)


def test_fixed_position_and_none() -> None:
    fixed = position_source(FixedPosition(kind="fixed", latitude=52.52, longitude=-13.405))
    assert fixed.current() == Position(525200000, -134050000)
    assert position_source(None).current() is None


def test_gpsd_that_ends_is_asked_again_and_an_old_position_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "delay_s", lambda attempt, longest_s: 0.01)
    asyncio.run(_gpsd_comes_and_goes())


async def _gpsd_comes_and_goes() -> None:
    lines = [[VERSION, DEVICES, TPV_NO_FIX, TPV_2D], [VERSION, b"x" * 100_000 + b"\n"], [VERSION, SKY, TPV_3D]]
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        with contextlib.suppress(OSError):
            writer.writelines(lines[min(len(asked), len(lines)) - 1])
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = GpsdSource(GpsdPosition(kind="gpsd", port=port, max_age_s=1))
    following = asyncio.create_task(source.run())
    assert source.current() is None
    async with asyncio.timeout(10):
        await until(lambda: source.current() == Position(525200000, 134050000))
        await until(lambda: source.current() == Position(-338688200, 1512092900))
        server.close()
        await until(lambda: source.current() is None)
    assert set(asked) == {WATCH}
    following.cancel()
