"""Errors of the bench: one type per cause, each with its exit code, one sentence and what to try next.

`sentence` says what is wrong, `try_next` what a technician does about it; neither ever holds a key.
"""


class BenchError(Exception):
    """Base of every error that tagsmith raises on purpose. Never raised itself."""

    exit_code = 1
    meaning = "tagsmith itself failed"

    def __init__(self, sentence: str, try_next: str) -> None:
        super().__init__(f"{sentence} Try: {try_next}")
        self.sentence = sentence
        self.try_next = try_next


class PortError(BenchError):
    """No such port, no permission, or another program has it."""

    exit_code = 3
    meaning = "the serial port is missing, not permitted, or in use"


class BoardError(BenchError):
    """What hangs on the port does not answer as it should: no board, another chip, a boot loop, a pulled cable."""

    exit_code = 4
    meaning = "the board does not answer, or is not the right one"


class FileError(BenchError):
    """A file that we were given is missing, damaged, or of another kind."""

    exit_code = 5
    meaning = "a file is missing, damaged, or of another kind"


class CheckError(BenchError):
    """What was written does not read back, or a self test found a part outside its limits."""

    exit_code = 6
    meaning = "written data does not read back, or a self test failed"


class TrustError(BenchError):
    """A signature or a checksum that does not fit, or a key kept so that others can read it."""

    exit_code = 7
    meaning = "a signature, a checksum or a key cannot be trusted"


class InventoryError(BenchError):
    """The inventory refuses: an id that is taken, a generation that would not rise, a file of another edition."""

    exit_code = 8
    meaning = "the inventory refuses or cannot be read"


class BatchError(BenchError):
    """A batch ended with tags that are not ready; the rest are."""

    exit_code = 9
    meaning = "some tags of a batch are not ready"


class ToolError(BenchError):
    """A program that tagsmith runs (esptool, mpy-cross) is not installed or failed in a way of its own."""

    exit_code = 10
    meaning = "a program that tagsmith needs is missing or failed"


class BrokerError(BenchError):
    """An MQTT broker cannot be reached, or refuses."""

    exit_code = 11
    meaning = "a broker does not answer, or refuses"


CAUSES: tuple[type[BenchError], ...] = (
    PortError,
    BoardError,
    FileError,
    CheckError,
    TrustError,
    InventoryError,
    BatchError,
    ToolError,
    BrokerError,
)

EXIT_OK = 0
EXIT_USAGE = 2  # click's own
EXIT_INTERRUPTED = 130  # as shells count Ctrl-C


def exit_code_table() -> str:
    """The exit codes as a paragraph for `--help`."""
    codes = [(EXIT_OK, "done"), (EXIT_USAGE, "wrong usage")]
    codes += [(cause.exit_code, cause.meaning) for cause in CAUSES]
    codes += [(EXIT_INTERRUPTED, "interrupted")]
    return "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in codes) + "."
