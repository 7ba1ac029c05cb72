"""Sources that a test opens and does not close: the fixture of ``tests/drivers`` closes them after it."""

from typing import Protocol


class _Opens(Protocol):
    def open(self) -> None: ...
    def close(self) -> None: ...


waiting: list[_Opens] = []
"""Closed after the test; a source that was closed already is closed twice, which is fine."""


def open_for_test(source: _Opens) -> None:
    """Open a source for the rest of the test."""
    waiting.append(source)
    source.open()


def close_all() -> None:
    """Close what a test has opened."""
    while waiting:
        waiting.pop().close()
