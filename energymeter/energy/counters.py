"""What a hardware counter gained between two readings: a wrap is undone here, and a reset is refused."""

_HELD_UP_SECONDS = 0.05
"""How long a busy machine may keep a reading from its time stamp: what a counter gained meanwhile seems to
flow in no time, and is no reset for that."""


def joules_between(
    before: float | None, now: float | None, wrap: float | None, max_watts: float | None, seconds: float
) -> float | None:
    """Joules between two counter values; ``None`` where a wrap and a reset look the same."""
    if before is None or now is None:
        return None
    most = None if max_watts is None else max_watts * seconds
    if wrap is not None and most is not None and most >= wrap:
        return None  # it may have gone round more than once
    joules = now - before
    if joules < 0:
        if wrap is None:
            return None
        joules += wrap
        # without a known maximum, a wrap counts only from the last tenth into the first
        if joules < 0 or (most is None and joules > wrap / 5):
            return None
    if max_watts is not None and joules > 1.05 * max_watts * (seconds + _HELD_UP_SECONDS) + 1e-3:
        return None
    return joules


def coulombs_between(before: float | None, now: float | None, wrap: float | None) -> float | None:
    """Coulombs between two values of a counter that runs both ways and may wrap at ± half its range."""
    if before is None or now is None:
        return None
    coulombs = now - before
    if wrap is not None and abs(coulombs) > wrap / 2:
        coulombs -= wrap if coulombs > 0 else -wrap
    return coulombs
