"""The driver contract's own pieces: a device's counters next to an integral."""

from energymeter.source import Counters


def test_counters_are_held_against_an_integral() -> None:
    start = Counters(joules=36.0, coulombs=72.0, joules_step=3.6, coulombs_step=3.6)
    end = start._replace(joules=3636.0, coulombs=792.0)
    counted = end.since(start)
    assert (counted.joules, counted.coulombs) == (3600.0, 720.0)
    assert counted.agree(3601.0, 718.0) is True
    assert counted.agree(3601.0, 600.0) is False
    assert counted.agree(None, 720.0) is True
    assert counted.agree(None, None) is None
    assert start.since(end).joules is None, "a cleared counter has no difference"
