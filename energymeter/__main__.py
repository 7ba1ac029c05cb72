"""The ``energymeter`` command, also ``python -m energymeter``: Ctrl-C ends it quietly from the start."""


def main() -> None:
    """Run the command line and end the process with its exit code.

    Loading the command line takes some 40 ms, on a busy machine ten times as long. Ctrl-C must show no
    traceback meanwhile, and must not be lost where an import goes on after it. So nothing is imported outside
    of this function, and Ctrl-C ends the process directly until the command is loaded: nothing was started.
    """
    try:
        import os
        import signal

        def leave(*_: object) -> None:
            os._exit(130)

        def loaded() -> None:
            if signal.getsignal(signal.SIGINT) is leave:
                signal.signal(signal.SIGINT, signal.default_int_handler)

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored from outside
            signal.signal(signal.SIGINT, leave)

        from energymeter.cli import main as command

        command(loaded)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
