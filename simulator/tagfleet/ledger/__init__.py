"""The ledger: every sample that was ever made, and what became of it."""

from tagfleet.ledger.classes import CLASSES, LOST, Verdict
from tagfleet.ledger.latency import Histogram
from tagfleet.ledger.ledger import Account, Ledger
from tagfleet.ledger.rows import LedgerFull, LedgerUnreadable

__all__ = ["CLASSES", "LOST", "Account", "Histogram", "Ledger", "LedgerFull", "LedgerUnreadable", "Verdict"]
