"""What a broker's refusal of one batch means, and what is done about it. Pure.

Reason codes of PUBACK: MQTT 5, 3.4.2.1. MQTT 3.1.1 has none: there a broker can only close the connection.
"""

from typing import NamedTuple

RETRY = "retry"  # this batch again in a while, a few times; others go on meanwhile
PAUSE = "pause"  # the refusal is not about this batch: everything waits for a while, nothing is given up
SPLIT = "split"  # in halves
POISON = "poison"  # never again: set aside and reported

MALFORMED = 0x81
TOO_LARGE = 0x95


class Refusal(NamedTuple):
    """What to do (RETRY, PAUSE, SPLIT or POISON), and a sentence for whoever reads the log."""

    action: str
    advice: str


_REFUSALS = {
    0x80: Refusal(RETRY, "the broker gives no reason"),
    MALFORMED: Refusal(POISON, "the broker cannot read it: it is set aside"),
    0x83: Refusal(RETRY, "the broker's own rules refuse it; its log says why"),
    0x87: Refusal(PAUSE, "this hub may not publish there: allow its topics in the broker's access list"),
    0x90: Refusal(PAUSE, "the broker does not take this topic name: see its rules for topics"),
    0x91: Refusal(RETRY, "packet id in use"),
    TOO_LARGE: Refusal(SPLIT, "too large for the broker: it is sent in halves"),
    0x97: Refusal(PAUSE, "a quota at the broker is used up: raise it, or wait until it is free again"),
    0x99: Refusal(
        POISON, "the broker checks payloads and does not know this format: turn the check off for this topic"
    ),
}
_UNKNOWN = Refusal(RETRY, "a reason that this edition does not know")


def refusal(code: int) -> Refusal:
    """For a PUBACK reason code of 0x80 or above."""
    return _REFUSALS.get(code, _UNKNOWN)


TAKEN_OVER = 0x8E  # MQTT 5, 3.14.2.1


def end_of_connection(code: int, reason: str) -> str:
    """Why the broker has ended a connection, with what to do about it where that is known."""
    if code == TAKEN_OVER:
        return f"{reason}: another client has this hub's client id; give each hub its own hub.id or mqtt.client_id"
    return reason
