"""A real Prometheus scrapes a real agent, which is killed and started again in between."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices.processes import until

from energymeter.serve import names

pytestmark = pytest.mark.peers
MONITORING = Path(names.__file__).parent / "monitoring"
RATE_SECONDS = 15


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Running:
    """A program that is killed at the end."""

    def __init__(self, command: list[str], url: str, environment: dict[str, str]) -> None:
        self._command, self.url, self._environment = command, url, environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._command
        try:
            urllib.request.urlopen(self.url, timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class Prometheus(Running):
    """Asks the agent every second."""

    def __init__(self, program: str, folder: Path, target: int) -> None:
        port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{MONITORING / 'prometheus-rules.yml'}']\n"
            "scrape_configs: [{job_name: energymeter, "
            f"static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
        )
        self._base = f"http://127.0.0.1:{port}"
        command = [
            program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        ]  # fmt: skip
        super().__init__(command, f"{self._base}/-/ready", dict(os.environ))

    def ask(self, query: str) -> list[Any]:
        """The result of an instant query."""
        text = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{self._base}/api/v1/query?{text}", timeout=10) as answer:
            content = json.load(answer)
        assert content["status"] == "success", content
        found: list[Any] = content["data"]["result"]
        return found

    def value(self, query: str) -> float:
        (only,) = self.ask(query)
        return float(only["value"][1])


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    command = [
        sys.executable, "-m", "energymeter", "serve", "sim:pi4",
        "--socket", str(tmp_path / "agent" / "socket"),
        "--listen", f"127.0.0.1:{port}", "--metrics", "--budget", "field",
    ]  # fmt: skip
    environment = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state")}
    (tmp_path / "state").mkdir(mode=0o700)
    subprocess.run(
        [sys.executable, "-m", "energymeter", "budget", "new", "field", "--battery", "4000mAh"],
        check=True,
        timeout=60,
    )
    made = Running(command, f"http://127.0.0.1:{port}/metrics", environment)
    made.port = port  # type: ignore[attr-defined]
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def prometheus(tmp_path: Path, agent: Running) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed: apt install prometheus")
    made = Prometheus(program, tmp_path, agent.port)  # type: ignore[attr-defined]
    try:
        made.start()
        yield made
    finally:
        made.kill()


def test_the_rate_of_joules_is_the_power_and_no_counter_falls_when_the_agent_is_killed(
    prometheus: Prometheus, agent: Running
) -> None:
    until(lambda: prometheus.ask("energymeter_power_watts"))
    time.sleep(RATE_SECONDS + 2)
    window = f"[{RATE_SECONDS}s]"
    rate = prometheus.value(f"rate(energymeter_energy_joules_total{window})")
    mean = prometheus.value(f"avg_over_time(energymeter_power_watts{window})")
    spread = prometheus.value(f"avg_over_time(energymeter_power_uncertainty_watts{window})")
    swing = prometheus.value(f"stddev_over_time(energymeter_power_watts{window})")
    # Prometheus extrapolates to the edges of its window: up to one scrape of fifteen at the power's swing
    assert abs(rate - mean) <= spread + swing, (rate, mean, spread, swing)
    covered = prometheus.value(f"rate(energymeter_measured_seconds_total{window})")
    assert covered == pytest.approx(1.0, abs=0.1)
    for _ in range(3):
        agent.kill()
        agent.start()
        time.sleep(3)
    for metric in names.METRICS:
        if metric.kind == "counter":
            assert all(
                float(series["value"][1]) == 0 for series in prometheus.ask(f"resets({metric.name}[2m])")
            ), metric.name
    # 2 m at 6 W are less than this by far; taken for a reset, all that was counted would be added again
    total = prometheus.value("energymeter_energy_joules_total")
    assert prometheus.value("increase(energymeter_energy_joules_total[2m])") < 1.5 * total
    for panel, query in panels():
        found = prometheus.ask(query)
        assert found or "span" in query or "battery" in query or "rail" in query or "time_left" in query, (
            panel,
            query,
        )
    alerts = prometheus.ask("ALERTS")
    assert not [alert for alert in alerts if alert["metric"]["alertstate"] == "firing"]


def panels() -> list[tuple[str, str]]:
    """Title and query of every panel, as Grafana would send it."""
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    found = []
    for panel in board["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$source", ".*").replace("$__range", "1m")
            found.append((panel["title"], query.replace("$__rate_interval", "15s")))
    return found
