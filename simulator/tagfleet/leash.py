"""Run a program that ends when its parent ends, even by SIGKILL: python -m tagfleet.leash PARENT_PID PROGRAM [ARG...]

On Linux the kernel then sends SIGTERM (prctl(2), PR_SET_PDEATHSIG; it outlives exec). Elsewhere it is only started.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent_pid, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent_pid:  # otherwise it died before the leash was on
        os.execv(program[0], program)


if __name__ == "__main__":
    main()
