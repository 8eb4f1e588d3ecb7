"""`tagsmith`: registers the commands and turns errors into one sentence and an exit code."""

import sys
from collections.abc import Sequence

import typer

from tagsmith import errors, output
from tagsmith.commands import batches, boards, bundle, firmware, labels, stock, watch

GROUPS = (firmware, boards, batches, labels, stock, watch, bundle)

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given)
    except errors.BenchError as error:
        output.failure(error, as_json=output.JSON_OPTION in given)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(errors.EXIT_INTERRUPTED)
