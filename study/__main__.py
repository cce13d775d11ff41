"""Where the command `study` begins: also `python -m study`."""

from caw import interrupt


def main() -> None:
    """Load the command, which takes a moment, and run it."""
    interrupt.ends_at_once()
    from study.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
