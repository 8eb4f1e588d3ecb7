"""The command line, a file per group of commands. Each has `register(app)`; the work itself is done elsewhere."""
