"""One file per sensor. A driver is given its bus; what a sensor could not tell is None. `tag.measure` has the rules."""
