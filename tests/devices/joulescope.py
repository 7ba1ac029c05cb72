"""A stand-in for the package's ``Driver``: no emulator of the instrument exists.

The values have the shape that pyjoulescope_driver/binding.pyx makes of ``jsdrv_statistics_s``; a block
is delivered whenever the test says so, from the test's own thread.
"""

from collections.abc import Callable
from typing import Any

from energymeter.clock import ManualClock

Listener = Callable[[str, Any], None]


class FakeDriver:
    """Strict about order: open before publish, publish before statistics, finalize last."""

    def __init__(
        self, paths: list[str], *, refuses: Exception | None = None, samples_per_second: int = 1_000_000
    ) -> None:
        self.paths, self.refuses, self.rate = paths, refuses, samples_per_second
        self.opened: set[str] = set()
        self.published: dict[str, object] = {}
        self.listeners: dict[str, Listener] = {}
        self.finalized = False
        self.pulled = False
        self.clock = ManualClock(start_ns=10**9)
        self.sample = 5_000_000
        self.joules = 12.5
        self.coulombs = 2.5

    def device_paths(self) -> list[str]:
        return [] if self.pulled else self.paths

    def open(self, path: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        assert path in self.paths
        self.opened.add(path)

    def close(self, path: str) -> None:
        self._check_there()
        self.opened.remove(path)

    def publish(self, topic: str, value: object) -> None:
        self._check_there()
        assert any(topic.startswith(path + "/") for path in self.opened), topic
        self.published[topic] = value

    def subscribe(self, topic: str, flags: str, fn: Listener) -> None:
        assert flags == "pub"
        self.listeners[topic] = fn

    def unsubscribe(self, topic: str, fn: Listener) -> None:
        self._check_there()
        assert self.listeners.pop(topic) == fn

    def finalize(self) -> None:
        assert not self.finalized
        self.finalized = True

    def _check_there(self) -> None:
        if self.pulled:
            raise RuntimeError("jsdrv_publish failed 20 | gone")

    def deliver(self, watts: float, seconds: float = 0.1, volts: float = 5.0, *, lose: bool = False) -> None:
        """One block of statistics; ``lose``: it is measured and never arrives."""
        self.clock.sleep(seconds)
        samples = round(seconds * self.rate)
        start, self.sample = self.sample, self.sample + samples
        self.joules += watts * seconds
        self.coulombs += watts / volts * seconds
        if lose:
            return

        def signal(value: float, unit: str) -> dict[str, Any]:
            return {key: {"value": value, "units": unit} for key in ("avg", "std", "min", "max", "p2p")}

        value = {
            "time": {
                "samples": {"value": [start, self.sample], "units": "samples"},
                "sample_freq": {"value": self.rate, "units": "Hz"},
                "range": {"value": [start / self.rate, self.sample / self.rate], "units": "s"},
                "delta": {"value": samples / self.rate, "units": "s"},
            },
            "signals": {
                "current": signal(watts / volts, "A"),
                "voltage": signal(volts, "V"),
                "power": signal(watts, "W"),
            },
            "accumulators": {
                "charge": {"value": self.coulombs, "units": "C"},
                "energy": {"value": self.joules, "units": "J"},
            },
            "source": "sensor",
        }
        for topic, listener in list(self.listeners.items()):
            listener(topic, value)
