"""For whoever stopped the tag at its prompt. Loaded then."""

from machine import WDT, Timer


def keep_fed(watchdog: WDT) -> None:
    """An ESP32's watchdog cannot be stopped: it is fed from now on."""
    Timer(0).init(period=15000, callback=lambda _: watchdog.feed())
