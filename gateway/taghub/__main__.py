"""Entry of the command `taghub`."""

from tagwire.program import starting


def main() -> None:
    """Load the command line and run it."""
    with starting("taghub", "gateway"):
        from taghub.command_line import main as run
    run()


if __name__ == "__main__":
    main()
