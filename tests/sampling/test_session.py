"""How often a source is read when nobody says: its own default, and less on a processor that is slow."""

import os
from types import SimpleNamespace

import pytest

from energymeter.errors import SpecError
from energymeter.sampling.config import SourceConfig
from energymeter.spec import parse


@pytest.fixture
def runs_on(monkeypatch):
    def set_machine(name):
        monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=name))

    return set_machine


def source(text):
    ((spec,),) = parse(text)
    return spec.build()


@pytest.mark.parametrize("text", ["ina219", "ina226", "ina3221", "ina228", "sim:pi4", "rapl"])
def test_a_pi_zero_reads_at_ten_hertz_unless_asked_otherwise(runs_on, text):
    runs_on("armv6l")
    assert SourceConfig(source(text)).pace() == 10.0
    assert SourceConfig(source(text), 50.0).pace() == 50.0


def test_other_processors_read_at_the_sources_own_default(runs_on):
    for machine in ("armv7l", "aarch64", "x86_64"):
        runs_on(machine)
        made = source("ina219")
        assert SourceConfig(made).pace() == made.facts.default_hz > 10.0


@pytest.mark.parametrize(("text", "default_hz"), [("fnirsi", 100.0), ("shelly@192.0.2.1", 1.0)])
def test_streams_and_slower_sources_keep_theirs(runs_on, text, default_hz):
    runs_on("armv6l")
    assert SourceConfig(source(text)).pace() == default_hz


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, 1e9])
def test_a_rate_that_cannot_be_is_refused(rate_hz):
    with pytest.raises(SpecError, match="cannot be read at"):
        SourceConfig(source("manual:3W"), rate_hz).pace()
