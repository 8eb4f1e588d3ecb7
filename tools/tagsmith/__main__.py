"""Entry of the command `tagsmith`."""

from tagwire.program import starting


def main() -> None:
    """Load the command line and run it."""
    with starting("tagsmith", "tools"):
        from tagsmith.command_line import main as run
    run()


if __name__ == "__main__":
    main()
