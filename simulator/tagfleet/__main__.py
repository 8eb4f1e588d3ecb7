"""Entry of the command `tagfleet`."""

from tagwire.program import starting


def main() -> None:
    """Load the command line and run it."""
    with starting("tagfleet", "simulator"):
        from tagfleet.command_line import main as run
    run()


if __name__ == "__main__":
    main()
