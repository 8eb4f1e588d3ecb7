"""When the hub's presence messages are published, and on which topics. Pure: time comes with each call."""

from taghub.presence import LOST_UNKNOWN_S, PAGE_TAGS, Presence
from taghub.sample_rows import Rows

PAGE_TAGS_MIN = 4
MOVES_SPACING_S = 15.0  # between two messages about who has come or was lost: nobody learns of it after more than 30 s


class Inventory:
    """What a hub tells about presence. complete: it has listened for long enough to miss nobody."""

    def __init__(self, topic: str, site: str, hub: str, interval_s: float, started_s: float) -> None:
        """interval_s: between two messages while nobody comes or goes."""
        self.presence = Presence()
        self._topic = topic
        self._site = site
        self._hub = hub
        self._interval_s = interval_s
        self._started_s = started_s
        self._published_s: float | None = None
        self._pages = 0
        self._page_tags = PAGE_TAGS

    def take(self, samples: Rows) -> None:
        """What intake has accepted."""
        self.presence.take(samples)

    def due(self, now_s: float, now_us: int, clock: str) -> list[tuple[str, bytes]]:
        """The retained messages to publish now, by topic; mostly none. An empty one takes a page away.

        now_s: for ages, it never steps; now_us: Unix time."""
        self.presence.look(now_us)
        moved = bool(self.presence.moves)
        spacing_s = min(MOVES_SPACING_S, self._interval_s) if moved else self._interval_s
        if self._published_s is not None and now_s - self._published_s < spacing_s:
            return []
        self.presence.moves.clear()
        self._published_s = now_s
        complete = now_s - self._started_s >= LOST_UNKNOWN_S
        pages = self.presence.pages(self._site, self._hub, now_us, clock, complete, self._page_tags)
        before, self._pages = self._pages, len(pages)
        pages += [b""] * (before - len(pages))
        return [(self._topic if page == 0 else f"{self._topic}/{page + 1}", pages[page]) for page in range(len(pages))]

    def connected(self) -> None:
        """The broker is there, again or for the first time: what it keeps may be old."""
        self._published_s = None

    def given_up(self, topic: str) -> None:
        """The broker has ended the connection instead of taking this message: its pages were too large for it."""
        if topic.startswith(self._topic):
            self._page_tags = max(PAGE_TAGS_MIN, self._page_tags // 2)
