"""A recorded current through the emulated INA219, at many rates, against plain instantaneous sampling.

The recording is 1 kHz energy of a microcontroller running MLPerf Tiny (mlcommons/tiny_results_v1.2, STMicro-
electronics, NUCLEO_L4R5ZI, Apache-2.0), scaled to a mean of 0.5 A. The real driver lets the chip average
over most of each sample period; a meter that looks only for an instant sees whatever flows just then.
`python -m benchmarks.waveform [PICTURE]` prints both errors, and draws them.
"""

import random
import struct
import sys
from itertools import accumulate
from pathlib import Path

from benchmarks.uncertainty import Bench, Errors
from energymeter.calibration.plot import Series, chart

RATES = (10.0, 30.0, 100.0, 300.0, 900.0)
VOLTS = 5.0
MEAN_AMPS, STEP = 0.5, 1e-3
WINDOW = (9.754, 19.252)
"""Within the second official window, half a second from its edges, where the load steps."""
PERFECT = Errors(1.0, 1.0, (0.0, 0.0, 0.0, 0.0), 1.0)
_PHASES = 40


class Recorded:
    """The recording as the chip's ``Load``: level within each millisecond."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        if raw[0] != 0xF1 or struct.unpack("<f", raw[1:5])[0] != 1 / STEP:
            raise ValueError(f"{path} is not 1 kHz energy")
        microjoules = struct.unpack(f"<{(len(raw) - 5) // 4}f", raw[5 : 5 + (len(raw) - 5) // 4 * 4])
        first, last = (round(edge / STEP) for edge in WINDOW)
        scale = MEAN_AMPS * (last - first) / sum(microjoules[first:last])
        self.amps = [energy * scale for energy in microjoules]
        self._coulombs = [0.0, *accumulate(amps * STEP for amps in self.amps)]

    def charge(self, at_ns: int) -> float:
        whole, part = divmod(at_ns, 1_000_000)
        i = min(whole, len(self.amps) - 1)
        return self._coulombs[i] + self.amps[i] * ((whole - i) * STEP + part * 1e-9)

    def steady(self, since_ns: int, until_ns: int) -> bool:
        return since_ns // 1_000_000 == until_ns // 1_000_000

    def volts(self, at_ns: int) -> float:
        return VOLTS


def averaged(load: Recorded, rate_hz: float) -> float:
    """Relative error of the driver's energy over the window."""
    bench = Bench(PERFECT, load, rate_hz, random.Random(0))  # type: ignore[arg-type]
    channel, curve = bench.channel(None)
    bench.run(WINDOW[1] + 0.5, [channel])
    start_ns, end_ns = (round(edge * 1e9) for edge in WINDOW)
    true = VOLTS * (load.charge(end_ns) - load.charge(start_ns))
    return curve.window(start_ns, end_ns).joules / true - 1


def instantaneous(load: Recorded, rate_hz: float) -> float:
    """The largest relative error of single looks at this rate, over phases of the sampling."""
    start, end = WINDOW
    count = round((end - start) * rate_hz)
    true = load.charge(round(end * 1e9)) - load.charge(round(start * 1e9))
    worst = 0.0
    for phase in range(_PHASES):
        times = (start + (i + (phase + 0.5) / _PHASES) / rate_hz for i in range(count))
        looks = sum(load.amps[int(at / STEP)] for at in times)
        worst = max(worst, abs(looks / count * (end - start) / true - 1))
    return worst


def main(recording: Path, picture: Path | None) -> None:
    """Print both, and draw them."""
    import click

    load = Recorded(recording)
    mine = [averaged(load, rate_hz) for rate_hz in RATES]
    theirs = [instantaneous(load, rate_hz) for rate_hz in RATES]
    click.echo(f"{'Hz':>6}{'averaging':>12}{'single looks':>14}")
    for rate_hz, one, other in zip(RATES, mine, theirs, strict=True):
        click.echo(f"{rate_hz:6.0f}{one:+12.4%}{other:14.4%}")
    if picture is not None:
        series = [
            Series("instantaneous samples, worst phase", RATES, [100 * error for error in theirs], True),
            Series("INA219 averaging, as this driver sets it", RATES, [100 * abs(e) for e in mine], True),
        ]
        title = "Energy of a recorded inference load, 9.5 s"
        picture.write_text(
            chart(title, "readings a second", "error, %", series, log_x=True), encoding="utf-8"
        )


if __name__ == "__main__":
    from recordings import ROOT

    main(
        ROOT / "traces/mlperf_tiny/NUCLEO_L4R5ZI_ad/trace1-energy.bin",
        Path(sys.argv[1]) if len(sys.argv) > 1 else None,
    )
