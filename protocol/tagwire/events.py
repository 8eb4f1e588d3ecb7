"""Events: what must not wait for a batch, as JSON. SPEC.md, "Events". Host only, no I/O."""

import json

from tagwire.batch import Sample
from tagwire.json_lines import members

CONTENT_TYPE = "application/json"


def encode_event(hub: str, sample: Sample) -> bytes:
    """The event that an alarm is. Raises ValueError for a sample that is none.

    Its `id` is the same whichever hub heard the alarm, and however often.
    """
    row = members(hub, sample)
    reason = row.pop("alarm", None)
    if reason is None:
        raise ValueError("a sample that is no alarm makes no event")
    word = reason.replace(" ", "_")
    event = {"id": f"{sample.tag_id}-{sample.counter}-{word}", "reason": word, **row}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
