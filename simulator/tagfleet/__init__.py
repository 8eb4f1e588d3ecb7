"""tagfleet: virtual tags, virtual air, and the ledger that accounts for every sample."""
