"""Samples follow others on a curve only if they are of the same meter, known as well, corrected alike."""

from typing import Any

import pytest

from energymeter.errors import SamplerError
from energymeter.reading import Band, Facts
from energymeter.sampling.config import ChannelInfo, follow

FACTS = Facts(place="usb", watts=Band(0.01, 0.001), max_watts=100.0)
INFO = ChannelInfo(0, "um25c", FACTS, 10.0, 1024, 0, "um25c 1234", False)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "um34c"}, {"identity": "um25c 5678"}, {"correction": "0badcafe"},
        {"facts": FACTS._replace(provenance="modelled")}, {"facts": FACTS._replace(place="wall")},
        {"facts": FACTS._replace(semantics="counter")}, {"facts": FACTS._replace(watts=Band(0.02, 0.001))},
        {"facts": FACTS._replace(watts=None)}, {"facts": FACTS._replace(counted=False)},
        {"facts": FACTS._replace(max_watts=10.0)},
    ],
    ids=str,
)  # fmt: skip
def test_samples_of_another_meter_do_not_follow(changed: dict[str, Any]) -> None:
    other = INFO._replace(**changed)
    assert not other.follows(INFO)
    with pytest.raises(SamplerError, match="start a new measurement"):
        follow([other], [INFO])


@pytest.mark.parametrize("after", [[], [INFO, INFO], [INFO._replace(name="b"), INFO._replace(name="a")]])
def test_other_rails_do_not_follow(after: list[ChannelInfo]) -> None:
    before = [INFO._replace(name="a"), INFO._replace(name="b")] if len(after) == 2 else [INFO]
    with pytest.raises(SamplerError, match="came back as"):
        follow(after, before)


@pytest.mark.parametrize(
    "changed", [{"rate_hz": 20.0}, {"notes": ("another",)}, {"facts": FACTS._replace(smoothing_seconds=0.1)}]
)
def test_how_it_is_read_may_change(changed: dict[str, Any]) -> None:
    follow([INFO._replace(**changed)], [INFO])
