"""A run as a command leads it: on a view, until it ends or somebody ends it."""

import asyncio
import logging
import signal

from tagfleet.figures import RunFigures
from tagfleet.result import Result
from tagfleet.runner import Run
from tagfleet.view import LineView, LiveView


async def lead(run: Run, view: LiveView[RunFigures] | LineView[RunFigures]) -> Result:
    """The run from set-up to its end; Ctrl-C ends it early, a second one at once. Raises the view's OutputLost."""
    # Warnings of the parts would run through the live screen; what a person must know is in the report.
    logging.basicConfig(handlers=[logging.NullHandler()])
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, run.stop)
    with view:
        return await run.run(view)
