"""Many gateways in worker processes: each with its real intake, spool and uplink."""
