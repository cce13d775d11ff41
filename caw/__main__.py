"""Where the command `caw` begins: also `python -m caw`."""

from caw import interrupt


def main() -> None:
    """Load the command, which takes a moment, and run it."""
    interrupt.ends_at_once()
    from caw.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
