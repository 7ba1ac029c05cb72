"""The ``energymeter`` command, also ``python -m energymeter``: Ctrl-C ends it quietly from the start."""


def main() -> None:
    """Run the command line and end the process with its exit code.

    Loading the command line takes some 40 ms, in which Ctrl-C must not show a traceback, either. For that
    reason nothing is imported outside of this function.
    """
    try:
        from energymeter.cli import main as command

        command()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
