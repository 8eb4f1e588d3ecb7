"""Runs after boot.py: one wake of the tag, which ends in deep sleep, or in the prompt after Ctrl-C."""

import sys

try:
    from tag.begin import main

    main()
except Exception as error:  # a damaged file, or no room in the heap: stay reachable, and do not drain the battery
    import time

    import machine

    sys.print_exception(error)
    if machine.reset_cause() != machine.DEEPSLEEP_RESET:
        print("Ctrl-C within 30 s stops this tag")
        time.sleep(30)
    machine.deepsleep(600000)
finally:  # the prompt gets the heap
    main = None  # type: ignore[assignment]
    for name in list(sys.modules):
        if name.startswith("tag"):
            del sys.modules[name]
