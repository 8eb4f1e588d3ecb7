"""The ledger: every sample that was ever made, and what became of it."""

from tagfleet.ledger.account import Account
from tagfleet.ledger.classes import CLASSES, LOST, Verdict
from tagfleet.ledger.duplicates import Duplicates
from tagfleet.ledger.latency import Histogram, bucket_ms
from tagfleet.ledger.ledger import Ledger
from tagfleet.ledger.rows import LedgerFull, LedgerUnreadable

__all__ = [
    "CLASSES",
    "LOST",
    "Account",
    "Duplicates",
    "Histogram",
    "Ledger",
    "LedgerFull",
    "LedgerUnreadable",
    "Verdict",
    "bucket_ms",
]
