"""An Aosong DHT22 (AM2302): five bytes on one wire, at most every 2 s. Pure."""

from collections.abc import Callable

from tagfleet.twin.chips.bus import Nack, Told, damaged

PERIOD_S = 2.0


class Dht22:
    """present, damaged: as `Sht4x`."""

    def __init__(self, measure: Callable[[float], tuple[float, float]]) -> None:
        self.present = True
        self.damaged = bytes(5)
        self.told: Told | None = None
        self._measure = measure
        self._next_s = 0.0

    def read(self, now_s: float) -> bytes:
        """Humidity and temperature in tenths, the latter as sign and magnitude, and their sum. Raises Nack."""
        self.told = None
        if not self.present or now_s < self._next_s:
            raise Nack
        self._next_s = now_s + PERIOD_S
        temperature_c, humidity_pct = self._measure(now_s)
        tenths = round(temperature_c * 10)
        sign = 0x8000 if tenths < 0 else 0
        words = min(max(round(humidity_pct * 10), 0), 1000).to_bytes(2, "big") + (sign | abs(tenths)).to_bytes(2, "big")
        answer = damaged(words + bytes([sum(words) & 0xFF]), self.damaged)
        if sum(answer[:4]) & 0xFF == answer[4]:
            magnitude = int.from_bytes(answer[2:4], "big") & 0x7FFF
            humidity = int.from_bytes(answer[:2], "big")
            self.told = Told((-magnitude if answer[2] & 0x80 else magnitude) * 100, humidity * 100)
        else:
            self.told = Told(None, None)
        return answer
