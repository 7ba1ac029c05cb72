"""``energymeter carbon``: FILE, grids, when."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from devices.grid_servers import BritishServer, ElectricityMapsServer, error_status

from energymeter.cli.carbon import carbon
from energymeter.errors import GridError, LogError, SpecError
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace

DAY = """\
from,to,g_per_kwh
2026-11-22T10:00Z,2026-11-22T11:00Z,300
2026-11-22T11:00Z,2026-11-22T12:00Z,100
2026-11-22T12:00Z,2026-11-22T13:00Z,400
"""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def run(*arguments: str, **environment: str) -> Result:
    ours = ("ENERGYMETER_GRID", "ELECTRICITYMAPS_TOKEN", "WATTTIME_USER", "WATTTIME_PASSWORD")
    return CliRunner().invoke(carbon, arguments, env={**dict.fromkeys(ours), **environment})


def test_grids_lists_and_searches() -> None:
    assert "DEU" in run("grids").output
    found = run("grids", "german").output
    assert found.startswith("DEU ")
    assert "381.0 g/kWh  2023  Germany  [" in found or "380.9 g/kWh  2023  Germany  [" in found


def test_grids_without_a_hit_lists_what_is_near() -> None:
    result = run("grids", "Germny")
    assert isinstance(result.exception, GridError)
    assert "did you mean DEU Germany" in str(result.exception)


def test_when_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text(DAY)
    result = run("when", "--wh", "50", "--hours", "1", "--forecast", str(tmp_path / "day.csv"))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "cleanest: 2026-11-22 11:00Z to 2026-11-22 12:00Z, 5.000 g CO2e at 100.0 g/kWh"
    assert lines[1] == "now:      2026-11-22 10:00Z, 15.00 g; waiting saves 10.0 g"
    assert lines[2] == "worst:    2026-11-22 12:00Z, 20.00 g"


def test_grids_and_when_in_json(tmp_path: Path) -> None:
    zones = {each["zone"]: each for each in json.loads(run("grids", "german", "--json").output)}
    found = zones["DEU"]
    assert found["name"] == "Germany"
    assert found["grams_per_kwh"] == pytest.approx(381, abs=1)
    (tmp_path / "day.csv").write_text(DAY)
    file = str(tmp_path / "day.csv")
    said = json.loads(run("when", "--wh", "50", "--hours", "1", "--forecast", file, "--json").output)
    assert (said["best"]["grams"], said["immediate"]["grams"], said["worst"]["grams"]) == (5.0, 15.0, 20.0)
    assert said["best"]["start"] == datetime(2026, 11, 22, 11, tzinfo=timezone.utc).timestamp()
    assert (said["saved_grams"], said["marginal"], said["source"]) == (10.0, False, file)


def test_when_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text(DAY)
    result = run(
        "when", "--wh", "50", "--hours", "1", "--within", "1.5", "--forecast", str(tmp_path / "day.csv")
    )
    assert "cleanest: 2026-11-22 10:30Z" in result.output


@pytest.mark.parametrize(
    "text", ["time,grams\n1,2\n", "from,to,g_per_kwh\n1,2,3\n", "from,to,g_per_kwh\n", "from\n\0"]
)
def test_what_is_no_forecast(tmp_path: Path, text: str) -> None:
    (tmp_path / "day.csv").write_text(text)
    result = run("when", "--wh", "50", "--hours", "1", "--forecast", str(tmp_path / "day.csv"))
    assert isinstance(result.exception, GridError)


def test_when_asks_nobody_unless_asked_to() -> None:
    result = run("when", "--wh", "50", "--hours", "1")
    assert result.exit_code == 2
    assert "--live SERVICE" in result.output


def test_when_needs_the_token_from_the_environment() -> None:
    result = run("when", "--wh", "50", "--hours", "1", "--live", "electricitymaps", "--zone", "DE")
    assert isinstance(result.exception, SpecError)


def test_when_live_with_a_token() -> None:
    with ElectricityMapsServer() as server:
        # The command goes by the machine's clock, so the service must too.
        server.now = datetime.now(timezone.utc)
        result = run(
            *(
                "when",
                "--wh",
                "50",
                "--hours",
                "1",
                "--live",
                "electricitymaps",
                "--zone",
                "DE",
                "--url",
                server.url,
            ),
            ELECTRICITYMAPS_TOKEN="s3cret-token",
        )
    assert result.exit_code == 0, result.output
    assert server.asked == ["/carbon-intensity/forecast?zone=DE"]
    assert "forecast: DE, " in result.output
    assert "s3cret" not in result.output


def test_when_live_in_britain() -> None:
    # The British server answers from the start it is asked for, so the machine's clock does.
    with BritishServer() as server:
        result = run(
            "when", "--wh", "50", "--hours", "1.5", "--live", "carbonintensity-gb", "--url", server.url
        )
    assert result.exit_code == 0, result.output
    assert result.output.startswith("cleanest: ")
    assert "GBR" in result.output
    assert "carbonintensity.org.uk" in result.output


def test_the_file_comes_before_or_after_the_options() -> None:
    for arguments in (
        ("--grid", "DEU", "missing.csv"),
        ("missing.csv", "--grid", "DEU"),
        ("FILE", "missing.csv"),
    ):
        result = run(*arguments)
        assert isinstance(result.exception, LogError)
        assert "missing.csv cannot be read" in str(result.exception)


def test_help_names_the_file_and_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in ("FILE", "grids", "when", "--grid DEU", "Nothing goes over the network"):
        assert word in result.output


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One hour at a steady 5 W, from 2026-11-22T10:00Z."""

    path = tmp_path / "run.csv"
    trace = Trace.integrate(
        [60.0 * i for i in range(61)], [5.0] * 61, facts=Facts(place="wall"), epoch_s=1_795_341_600.0
    )
    trace.save(str(path))
    return path


def test_grams_of_a_file(recording: Path) -> None:
    result = run(str(recording), "--grams-per-kwh", "400", "--source", "me", "--place", "wall")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("2.000 g CO2e")
    assert "phone charges" in result.output


def test_no_place_no_grams(recording: Path) -> None:
    result = run(str(recording))
    assert isinstance(result.exception, GridError)
    assert "no zone given, so no grams" in str(result.exception)


def test_the_place_may_stand_in_the_environment(recording: Path) -> None:
    assert "(POL, 2023; " in run(str(recording), ENERGYMETER_GRID="POL").output


def test_the_board_is_counted_where_asked(recording: Path) -> None:
    result = run(str(recording), "--grid", "DEU", "--board", "pi-4")
    assert "from making the device" in result.output
    assert "kg Sb-eq" in result.output


def test_each_half_hour_of_a_file_by_its_own_intensity(recording: Path) -> None:
    with BritishServer() as server:
        server.now = datetime(2026, 11, 22, 11, 40, tzinfo=timezone.utc)
        result = run(str(recording), "--live", "carbonintensity-gb", "--url", server.url)
    assert result.exit_code == 0, result.output
    # 10:00 and 10:30 of the server's day, as measured: 115 and 116 g/kWh, half of the energy each.
    assert "0.005000 kWh at the socket × 115.5 g/kWh (GBR, 2026; carbonintensity.org.uk" in result.output
    assert "each stretch by its own intensity" in result.output


def test_a_service_that_is_down_falls_back_on_the_grid_and_says_so(recording: Path) -> None:
    with BritishServer() as server:
        server.trouble = error_status(500)
        arguments = (str(recording), "--live", "carbonintensity-gb", "--url", server.url)
        assert isinstance(run(*arguments).exception, GridError)
        result = run(*arguments, "--grid", "GBR")
    assert "237.6 g/kWh (GBR, 2026; " in result.output
    assert "(fallback: carbonintensity.org.uk reports an error of its own (HTTP 500)" in result.output


def test_the_meter_s_place_and_efficiency_can_be_said(recording: Path) -> None:
    result = run(str(recording), "--grid", "DEU", "--place", "rail", "--efficiency", "0.8")
    assert "0.006250 kWh at the socket" in result.output
    assert "measured at the rail, supply efficiency 0.8" in result.output


def test_json(recording: Path) -> None:
    result = run(str(recording), "--grid", "DEU", "--board", "pi-4", "--json")
    answer = json.loads(result.output)
    assert answer["socket_kwh"] == pytest.approx(0.005)
    assert (answer["year"], answer["zone"], answer["litres"]) == (2023, "DEU", None)
    assert answer["kg_sb_eq"]["low"] < answer["kg_sb_eq"]["high"]
    assert answer["supply"]["efficiency"] == 1.0
    assert 0 < answer["embodied_share"] < 1


def test_a_forecast_is_of_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energymeter.recordings.textfile.MOST_CHARACTERS", 1_000_000)
    path = tmp_path / "x.csv"
    path.write_text("from,to,g_per_kwh\n" + "2026-01-01T00:00Z,2026-01-01T01:00Z,100\n" * 30_000)
    result = run("when", "--wh", "1", "--hours", "1", "--forecast", str(path))
    assert isinstance(result.exception, GridError)
    assert "larger than 1 MB of text" in str(result.exception)


@pytest.mark.parametrize("number", ["nan", "inf", "1e308", "-1", "10001"])
def test_a_forecast_of_impossible_intensities_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "x.csv").write_text(f"from,to,g_per_kwh\n2026-01-01T00:00Z,2026-01-01T01:00Z,{number}\n")
    result = run("when", "--wh", "1", "--hours", "1", "--forecast", str(tmp_path / "x.csv"))
    assert isinstance(result.exception, GridError)
