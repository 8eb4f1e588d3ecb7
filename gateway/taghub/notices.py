"""What service beacons said, for people. Pure.

Nobody can tell who sent a service beacon. So it is shown and counted, in bounded memory, and decides nothing.
"""

from collections import OrderedDict
from typing import NamedTuple

from tagwire.beacon import parse_header
from tagwire.service import Service, decode_service

SENDERS_MAX = 32
QUIET_US = 600_000_000  # one sender's same complaint is news again after ten minutes
NEWS_PER_MINUTE = 6  # of all senders together: a log that anybody can fill is no log


class Notice(NamedTuple):
    """The latest service beacon of one sender. tag_id: as sent; 0 where the tag has none to give."""

    tag_id: int
    private: bool
    t_us: int
    rssi_dbm: int
    service: Service


class Notices:
    """The latest notice of each of the last SENDERS_MAX senders."""

    def __init__(self) -> None:
        self._latest: OrderedDict[bytes, Notice] = OrderedDict()
        self._news: OrderedDict[tuple[bytes, int], int] = OrderedDict()
        self._minute = 0
        self._news_left = NEWS_PER_MINUTE

    def add(self, t_us: int, rssi_dbm: int, frame: bytes) -> Notice | None:
        """Take note of a service beacon's 24 bytes; the notice comes back where it is worth a line in a log."""
        header = parse_header(frame)
        notice = Notice(header.tag_id, bool(header.hints & 0x20), t_us, rssi_dbm, decode_service(frame))
        sender = frame[:5]
        self._latest[sender] = notice
        self._latest.move_to_end(sender)
        if len(self._latest) > SENDERS_MAX:
            self._latest.popitem(last=False)
        if t_us // 60_000_000 != self._minute:
            self._minute, self._news_left = t_us // 60_000_000, NEWS_PER_MINUTE
        topic = sender, notice.service.reason
        if abs(t_us - self._news.get(topic, -QUIET_US)) < QUIET_US or not self._news_left:
            return None
        self._news_left -= 1
        self._news[topic] = t_us
        if len(self._news) > SENDERS_MAX:
            self._news.popitem(last=False)
        return notice

    def latest(self) -> list[Notice]:
        """One for each sender, the newest last."""
        return list(self._latest.values())
