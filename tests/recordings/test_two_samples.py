"""The shortest recordings: two samples say how far apart samples are, and so how old a value may be."""

import pytest

from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import combine
from energymeter.reading import Facts, Reading
from energymeter.recordings.trace import Trace
from tests.energy.test_stale_and_still import curve_of

RENEWED = Facts(renewal_seconds=60.0, default_hz=1.0, max_hz=2.0)


@pytest.mark.parametrize("count", [2, 3])
def test_a_recording_of_a_value_that_is_renewed_is_as_uncertain_as_its_run(count: int) -> None:
    curve, _ = curve_of(RENEWED, [(float(t), Reading(watts=2.0 + 3.0 * t)) for t in range(count)])
    live = curve.window(0, (count - 1) * 10**9)
    expected = combine([Part("gauge", RENEWED, live, curve.interval_seconds(1.0))]).uncertainty
    trace = Trace.from_samples(curve.samples(), "gauge", RENEWED)
    assert trace.usage().uncertainty == pytest.approx(expected)
    assert expected > 3.0 * count**0.5, "the age of a value, not the noise of the meter"
