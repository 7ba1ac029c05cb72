"""What the tests of all frameworks share: one thread, no hub, and versions next to the names of the tests."""

import importlib.metadata
import os

from energymeter import EnergyMeter

SOURCE = "manual:5.00V,0.600A"
"""3 W whatever happens, so that energy is time, known to 0.4 %."""


def offline_with_one_thread() -> None:
    """Before a framework is imported."""
    os.environ.update(
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        HF_HUB_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
        WANDB_MODE="offline",
        CUDA_VISIBLE_DEVICES="",
    )


def versions(*packages: str) -> str:
    """What the tests ran with: ``torch 2.13.0, keras 3.15.1``."""
    return ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)


def agree(inner: EnergyMeter, outer: EnergyMeter) -> bool:
    """Whether a second meter, around the same work, reports the same for the time of the first within their
    ±.

    A framework prepares itself before it calls anybody, so the outer block is longer; all its parts are
    compared, too.
    """
    run, around = inner._latest_run(), outer._latest_run()
    windows = [(run.start_ns, run.end_ns)]
    for edges in run.spans.edges.values():
        windows += zip(edges[::2], edges[1::2], strict=True)
    for start_ns, end_ns in windows:
        assert around.start_ns <= run.start_ns <= start_ns <= end_ns <= run.end_ns <= around.end_ns
        a, b = run.usage_between(start_ns, end_ns), around.usage_between(start_ns, end_ns)
        if abs(a.joules - b.joules) > a.uncertainty + b.uncertainty:
            return False
    return True
