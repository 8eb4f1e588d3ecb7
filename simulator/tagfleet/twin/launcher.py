"""Starts an interpreter for each wake by forking: 1 ms, where a new process takes 15. Runs as a process of its own.

Arguments: control socket, board's socket, console's file, interpreter, its arguments. For each byte that it reads from
the control socket it starts one and writes its process id (u32), and its exit status (i32) when that has ended;
negative: the signal that ended it. Where MicroPython is not a module of this Python, the child becomes the interpreter.
"""

import os
import sys


def main() -> None:
    control, board, console = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    interpreter, arguments = sys.argv[4], sys.argv[5:]
    try:
        from micropython_run import run_main
    except ImportError:
        run_main = None
    while os.read(control, 1):
        child = os.fork()
        if not child:
            os.close(control)
            output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            command = ["micropython", *arguments, str(board)]
            if run_main is None:
                os.execv(interpreter, command)
            os._exit(run_main(command))
        os.write(control, child.to_bytes(4, "little"))
        _, status = os.waitpid(child, 0)
        os.write(control, os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))


if __name__ == "__main__":
    main()
