"""The page of errors is true: the tree in its docstring is the tree there is."""

import builtins
import re

import pytest

from energymeter import errors
from energymeter.errors import EnergyMeterError, ExtraMissing

LINE = re.compile(r"^[ │├└─]*(\w+)(?:\s+(\w+))?\s+(\d+)(?:\s{3}.*)?$")


def documented() -> list[tuple[str, str | None, int]]:
    assert errors.__doc__ is not None
    found = [LINE.match(line.removeprefix("    ")) for line in errors.__doc__.splitlines()]
    return [(match[1], match[2], int(match[3])) for match in found if match]


@pytest.mark.parametrize(("name", "builtin", "code"), documented())
def test_as_documented(name: str, builtin: str | None, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, EnergyMeterError)
    assert kind.exit_code == code
    if builtin is not None:
        assert issubclass(kind, getattr(builtins, builtin))


def test_nothing_is_left_out() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name for name, _, _ in documented()} == kinds


def test_extra_names_what_to_type() -> None:
    error = ExtraMissing("pyarrow", "parquet", "A Parquet log")
    assert str(error) == 'A Parquet log needs pyarrow: pip install "edge-energymeter[parquet]"'
    assert error.name == "pyarrow"
