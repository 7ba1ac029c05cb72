"""What a log says of its origin: the sources, the machine and its state."""

from __future__ import annotations

import os
import sys

from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING
from energymeter.meter.conditions import Conditions
from energymeter.spec import Spec
from energymeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from energymeter.sampling.config import SourceConfig
    from energymeter.source import Source


def log_header(
    configs: Sequence[SourceConfig], counted: int, started: float, conditions: Conditions
) -> dict[str, Any]:
    """The header of a log, without its channels.

    Args:
        configs: the sources.
        counted: the first so many add up, the others are excluded.
        started: Unix time of second 0.
        conditions: the state of the machine then.
    """
    system = os.uname()
    return {
        "sources": [shown_name(config.source) for config in configs],
        "counted_sources": counted,
        "rate_hz": [config.rate_hz for config in configs],
        "started": started,
        "host": system.nodename,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "python": sys.version.split()[0],
        "energymeter": __version__,
        "conditions": conditions._asdict(),
    }


def shown_name(source: Spec | Source) -> str:
    """A source as a person may see it: by its name, which holds no password, no query and no command line."""
    if not isinstance(source, Spec):
        return source.name
    try:
        return source.build().name
    except SpecError:
        return f"{source.driver}, with options that make no sense"
