"""What the air is like. Every number says where it comes from; *uncalibrated* means a believable guess. Pure."""

from dataclasses import dataclass

PDU_US = 376  # 8 x (16 + 31) us: preamble, access address, header, address, CRC and 31 bytes of AdvData at 1 Mbit/s
ADV_DELAY_US = 10_000  # advDelay: 0 to 10 ms on top of each interval (Core Specification, Vol 6, Part B, 4.4.2.2.1)
CHANNELS = 3  # 37, 38, 39, in this order within an event


@dataclass(frozen=True)
class AirSettings:
    """The air between tags and hubs. Raises ValueError for values that no radio has.

    How tags advertise, as the firmware's settings of these names:
    interval_s: from sample to sample. burst_events, burst_interval_ms: advertising events of a burst (1 to 64), and
    from event to event; each adds up to 10 ms of delay. burst_repeats: further bursts, spread over the interval.
    channel_step_us: from the PDU on one channel to the next one (uncalibrated; the PDU itself takes 376).

    How far they are heard:
    rssi_at_1m_dbm, path_loss_exponent: Strzoda's fit (MSWIM 2022), indoors. No published values for trucks or
    warehouses were found: for both, and for all distances and losses here, uncalibrated.
    truck_m, depot_m: tags stand up to so far from the hub of their place, evenly over that circle, never nearer than
    1 m. shadowing_db: one sigma, per tag and place. channel_db: per tag, place and channel, which is why a tag's
    channels succeed unequally (Hou and Huang 2020). fading_db: per event. Together 5 dB, as Strzoda found.
    dock_m, dock_loss_db: what lies between a truck that loads and its depot's hub, on top of the distance within.
    sensitivity_dbm: where half of the undisturbed PDUs are received; sensitivity_slope_db: how sharp that edge is
    (both uncalibrated, typical of data sheets).

    How hubs listen:
    scan_interval_ms, scan_window_ms: one channel an interval, in turn. BlueZ discovers with 11.25 and 11.25 and waits
    for advertisement monitors with 60 and 30 (Linux, hci_core). dead_time_us: deaf after each decoded PDU; chips have
    such gaps (Perez-Diaz-de-Cerio, Sensors 17:499), the length is uncalibrated.

    What disturbs:
    capture_db: a PDU survives others at the same time when it is so much louder than their sum; math.inf: never
    (uncalibrated; the Core Specification asks receivers for 21 dB, chips do better).
    interference_share: of the slots of interference_slot_ms, per hub, in which nothing gets through. Strzoda: other
    radios cut deliveries by 13 to 40 %.
    """

    interval_s: float = 300.0
    burst_events: int = 12
    burst_interval_ms: float = 25.0
    burst_repeats: int = 2
    channel_step_us: int = 500

    rssi_at_1m_dbm: float = -65.0
    path_loss_exponent: float = 2.03
    truck_m: float = 13.0
    depot_m: float = 25.0
    shadowing_db: float = 4.0
    channel_db: float = 2.5
    fading_db: float = 2.0
    dock_m: float = 12.0
    dock_loss_db: float = 8.0
    sensitivity_dbm: float = -95.0
    sensitivity_slope_db: float = 1.5

    scan_interval_ms: float = 11.25
    scan_window_ms: float = 11.25
    dead_time_us: int = 400

    capture_db: float = 9.0
    interference_share: float = 0.15
    interference_slot_ms: float = 5.0

    def __post_init__(self) -> None:
        for wrong, what in (
            (not 1 <= self.burst_events <= 64, "burst_events is not within 1 to 64"),
            (self.burst_interval_ms < 20, "burst_interval_ms is below Bluetooth's 20"),
            (self.burst_repeats < 0, "burst_repeats is negative"),
            (self.burst_s * (1 + self.burst_repeats) > self.interval_s, "the bursts do not fit into interval_s"),
            (self.channel_step_us < PDU_US, f"channel_step_us is below the {PDU_US} that a PDU takes"),
            (not 0 < self.scan_window_ms <= self.scan_interval_ms, "scan_window_ms is not within scan_interval_ms"),
            (min(self.truck_m, self.depot_m) < 1, "truck_m or depot_m is below 1"),
            (not 0 <= self.interference_share <= 1, "interference_share is not within 0 to 1"),
            (self.sensitivity_slope_db <= 0 or self.interference_slot_ms <= 0, "a slope or a slot is not above 0"),
            (min(self.shadowing_db, self.channel_db, self.fading_db, self.dead_time_us, self.dock_m) < 0, "negative"),
        ):
            if wrong:
                raise ValueError(what)

    @property
    def burst_s(self) -> float:
        """The longest that a burst can take."""
        return self.burst_events * (self.burst_interval_ms / 1000 + ADV_DELAY_US / 1e6)
