"""What the air is like. Every number says where it comes from; *uncalibrated* means a believable guess. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AirSettings:
    """The air between tags and hubs.

    burst_events, burst_interval_ms, burst_repeats: how a sample is advertised, as the firmware's settings of these
    names. An event is one PDU on each of the channels 37, 38, 39; each adds 0 to 10 ms of random delay.
    """

    burst_events: int = 12
    burst_interval_ms: float = 25.0
    burst_repeats: int = 2
