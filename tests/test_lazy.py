"""What does without a module of the standard library behaves as that does."""

import contextlib

import pytest

from energymeter.lazy import suppress


@pytest.mark.parametrize("kind", [suppress, contextlib.suppress])
def test_suppress_ends_the_block_at_the_errors_it_names_alone(kind):
    done = []
    with kind(ValueError, OSError):
        done.append("before")
        raise FileNotFoundError
    with kind():
        done.append("after")
    with pytest.raises(KeyError), kind(ValueError):
        raise KeyError
    assert done == ["before", "after"]
