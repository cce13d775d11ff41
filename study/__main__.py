"""Where the command `study` begins: also `python -m study`."""

from caw.process import end_on_interrupt


def main() -> None:
    """Load the command, which takes a moment, and run it."""
    end_on_interrupt()
    from study.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
