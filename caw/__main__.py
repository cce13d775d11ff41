"""The start of the command `caw`, also as `python -m caw`."""

from caw.process import end_on_interrupt


def main() -> None:
    """Load the command, which takes a moment, and run it."""
    end_on_interrupt()
    from caw.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
