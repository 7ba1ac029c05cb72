"""What a hardware counter gained between two readings: a wrap is undone here, and a reset is refused."""

_HELD_UP_SECONDS = 0.05
"""How long a busy machine may keep a reading from its time stamp: what a counter gained meanwhile seems to
flow in no time, and is no reset for that."""


def joules_between(
    before: float | None, now: float | None, wrap: float | None, max_watts: float | None, seconds: float
) -> float | None:
    """Joules between two counter values; ``None`` where a value is missing.

    Raises:
        ValueError: nobody can tell, and why.
    """
    if before is None or now is None:
        return None
    most = None if max_watts is None else max_watts * seconds
    if wrap is not None and most is not None and most >= wrap:
        raise ValueError(
            f"its counter begins again after {wrap:.6g} J, which may have happened more than once in the "
            f"{seconds:.3g} s between two readings; read it more often"
        )
    joules = now - before
    if joules < 0 and wrap is not None:
        joules += wrap
        # without a known maximum, a wrap counts only from the last tenth into the first
        if most is None and joules > wrap / 5:
            joules = -1.0
    if joules < 0:
        raise ValueError("its counter fell, as after a reset; measure again")
    if max_watts is not None and joules > 1.05 * max_watts * (seconds + _HELD_UP_SECONDS) + 1e-3:
        raise ValueError(f"its counter rose by {joules:.6g} J in {seconds:.3g} s, more than can flow here")
    return joules


def coulombs_between(before: float | None, now: float | None, wrap: float | None) -> float | None:
    """Coulombs between two values of a counter that runs both ways and may wrap at ± half its range."""
    if before is None or now is None:
        return None
    coulombs = now - before
    if wrap is not None and abs(coulombs) > wrap / 2:
        coulombs -= wrap if coulombs > 0 else -wrap
    return coulombs
