"""A GNSS receiver that writes NMEA 0183 once a second, as u-blox's do. Pure: `now_s` comes in."""

import math
import random
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

from tagfleet.twin.spec import World

LATENCY_S = 0.08  # from the epoch to the first byte of its sentences
SILENT_BYTES_MAX = 1024  # what the UART's buffer holds while nobody reads; newer bytes are lost, as on the chip
NOISE_SIGMA_M = 1.5  # per axis
HDOP_OPEN_SKY_E2 = 92
METRES_PER_DEGREE = 111_195.0  # on a sphere of 6,371 km


class Epoch(NamedTuple):
    """What one second's sentences said, as numbers. hdop_e2: hundredths. speed_mknots: thousandths of a knot."""

    time_s: int
    latitude_e7: int
    longitude_e7: int
    hdop_e2: int
    speed_mknots: int


class Receiver:
    """Power it, then read what its UART has sent by now.

    time_to_fix_s: after power (a hot start, with its backup supply on). delivered: the last epoch with a fix of which
    RMC and GGA have been read since power came, None when there was none. hdop_e2: of its fixes, in hundredths.
    garbage: sent in place of an epoch's text.
    """

    def __init__(self, world: World, seed: int, time_to_fix_s: float = 0.5, baud: int = 9600) -> None:
        self.delivered: Epoch | None = None
        self.hdop_e2 = HDOP_OPEN_SKY_E2
        self.garbage: bytes | None = None
        self._world = world
        self._random = random.Random(seed)
        self._time_to_fix_s = time_to_fix_s
        self._byte_s = 10 / baud  # start bit, 8 data bits, stop bit
        self._powered_s: float | None = None
        self._next_s = 0  # the next epoch, in whole Unix seconds
        self._waiting: deque[_Burst] = deque()

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._powered_s is not None

    def power(self, on: bool, now_s: float) -> None:
        """Switch its supply; switching on again what is on changes nothing."""
        if not on:
            self._powered_s = None
        elif self._powered_s is None:
            self._powered_s = now_s
            self._next_s = math.ceil(now_s)
            self._waiting.clear()
            self.delivered = None

    def read(self, length: int, now_s: float) -> bytes:
        """Up to `length` bytes that have arrived by `now_s` and were not read before."""
        if self._powered_s is None:
            return b""
        while self._next_s + LATENCY_S <= now_s:
            self._emit(self._next_s)
            self._next_s += 1
        data = b""
        while self._waiting and len(data) < length:
            burst = self._waiting[0]
            sent = int((now_s - burst.started_s) / self._byte_s)
            piece = burst.text[burst.read : min(sent, burst.read + length - len(data))]
            burst.read += len(piece)
            data += piece
            if burst.epoch is not None and burst.read >= burst.told:
                self.delivered = burst.epoch
            if burst.read < len(burst.text):
                break
            self._waiting.popleft()
            if burst.epoch is not None:
                break  # one fix a read: after a stall of this process, which one the tag takes must not be a guess
        return data

    def _emit(self, time_s: int) -> None:
        if self._powered_s is None or sum(len(burst.text) - burst.read for burst in self._waiting) > SILENT_BYTES_MAX:
            return
        surroundings = self._world(time_s)
        epoch = None
        if surroundings.has_sky and time_s >= self._powered_s + self._time_to_fix_s:
            north_m = self._random.gauss(0, NOISE_SIGMA_M)
            east_m = self._random.gauss(0, NOISE_SIGMA_M)
            latitude_deg = surroundings.latitude_deg + north_m / METRES_PER_DEGREE
            longitude_deg = surroundings.longitude_deg + east_m / (
                METRES_PER_DEGREE * max(math.cos(math.radians(latitude_deg)), 0.01)
            )
            text, epoch = fix_sentences(time_s, latitude_deg, longitude_deg, surroundings.speed_mps, self.hdop_e2)
        else:
            text = no_fix_sentences(time_s)
        if self.garbage is not None:
            text, epoch = self.garbage, None
        self._waiting.append(_Burst(text, epoch, time_s + LATENCY_S))


class _Burst:
    def __init__(self, text: bytes, epoch: Epoch | None, started_s: float) -> None:
        self.text = text
        self.epoch = epoch
        self.started_s = started_s
        self.read = 0
        # How many bytes tell the whole epoch: a reader may take CR for the end of GGA, and what follows adds nothing.
        self.told = text.index(b"\r", text.index(b"GGA")) + 1 if epoch is not None else len(text)


def sentence(text: str) -> bytes:
    """`$text*hh` CR LF."""
    checksum = 0
    for byte in text.encode():
        checksum ^= byte
    return f"${text}*{checksum:02X}\r\n".encode()


def fix_sentences(
    time_s: int, latitude_deg: float, longitude_deg: float, speed_mps: float, hdop_e2: int = HDOP_OPEN_SKY_E2
) -> tuple[bytes, Epoch]:
    """One epoch with a fix, and its numbers after the rounding of the text (minutes have five decimals)."""
    moment = datetime.fromtimestamp(time_s, UTC)
    clock, date = moment.strftime("%H%M%S.00"), moment.strftime("%d%m%y")
    latitude, latitude_e7 = _angle(min(max(latitude_deg, -90), 90), 2, "NS")
    longitude, longitude_e7 = _angle((longitude_deg + 180) % 360 - 180, 3, "EW")
    speed_mknots = round(speed_mps * 3600 / 1852 * 1000)
    hdop = f"{hdop_e2 // 100}.{hdop_e2 % 100:02}"
    knots = f"{speed_mknots // 1000}.{speed_mknots % 1000:03}"
    text = (
        sentence(f"GNRMC,{clock},A,{latitude},{longitude},{knots},,{date},,,A,V")
        + sentence(f"GNVTG,,T,,M,{knots},N,{speed_mps * 3.6:.3f},K,A")
        + sentence(f"GNGGA,{clock},{latitude},{longitude},1,09,{hdop},212.4,M,46.1,M,,")
        + sentence(f"GNGSA,A,3,02,05,07,13,20,30,,,,,,,1.70,{hdop},1.43,1")
        + sentence("GPGSV,1,1,04,02,41,288,38,05,62,210,42,07,23,061,33,13,55,104,40,1")
        + sentence(f"GNGLL,{latitude},{longitude},{clock},A,A")
    )
    return text, Epoch(time_s, latitude_e7, longitude_e7, hdop_e2, speed_mknots)


def no_fix_sentences(time_s: int) -> bytes:
    """One epoch without a fix; the backup supply kept the receiver's clock."""
    moment = datetime.fromtimestamp(time_s, UTC)
    clock, date = moment.strftime("%H%M%S.00"), moment.strftime("%d%m%y")
    return (
        sentence(f"GNRMC,{clock},V,,,,,,,{date},,,N,V")
        + sentence("GNVTG,,,,,,,,,N")
        + sentence(f"GNGGA,{clock},,,,,0,00,99.99,,,,,,")
        + sentence("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99,1")
        + sentence("GPGSV,1,1,00,1")
        + sentence(f"GNGLL,,,,,{clock},V,N")
    )


def _angle(degrees: float, width: int, hemispheres: str) -> tuple[str, int]:
    """NMEA's `[d]ddmm.mmmmm,H`, and that text's value in 1e-7 degree, halves rounded away from zero."""
    minutes_e5 = round(abs(degrees) * 60 * 100_000)
    whole, rest = divmod(minutes_e5, 60 * 100_000)
    text = f"{whole:0{width}}{rest // 100_000:02}.{rest % 100_000:05},{hemispheres[degrees < 0]}"
    angle_e7 = (minutes_e5 * 100 + 30) // 60
    return text, -angle_e7 if degrees < 0 else angle_e7
