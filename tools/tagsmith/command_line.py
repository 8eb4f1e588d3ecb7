"""`tagsmith`: registers the commands and turns errors into one sentence and an exit code."""

import sys
from collections.abc import Sequence

import typer

from tagsmith import errors, output
from tagsmith.commands import batches, boards, bundle, firmware, journals, labels, platform, stock, watch

GROUPS = (firmware, boards, journals, batches, labels, stock, platform, watch, bundle)

app = typer.Typer(
    name="tagsmith",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The bench: bundle, flash, provision, label and watch tags, one at a time or fifty.\n\n"
    "First tag: `tagsmith doctor`, `tagsmith ports`, `tagsmith flash PORT --micropython FILE`, "
    "then `tagsmith provision PORT`.",
    epilog=errors.exit_code_table(),
)
for group in GROUPS:
    group.register(app)


# What command lines that cannot be understood raise; typer exports only this child of it.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = output.JSON_OPTION in given
    try:
        # A person gets typer's own account of a wrong usage, a program the same as one object.
        code = app(given, standalone_mode=not as_json)
        sys.exit(code or errors.EXIT_OK)
    except UsageError as error:
        output.wrong_usage(error, errors.EXIT_USAGE)
        sys.exit(errors.EXIT_USAGE)
    except errors.BenchError as error:
        output.failure(error, as_json=as_json)
        sys.exit(error.exit_code)
    except OSError as error:  # of a file that no command answers for: a temporary one, mostly
        fault = errors.FileError(
            f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.",
            "room on the disk, and the right to write there; TMPDIR names another folder for temporary files",
        )
        output.failure(fault, as_json=as_json)
        sys.exit(fault.exit_code)
    except KeyboardInterrupt:
        sys.exit(errors.EXIT_INTERRUPTED)
