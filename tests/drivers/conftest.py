"""What every test of a driver stands on."""

from collections.abc import Iterator

import pytest
from devices.opened import close_all


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    """Leave no socket and no command open."""
    yield
    close_all()
