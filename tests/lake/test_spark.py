"""Spark reads the same lake and says the same, in local mode and as a cluster of two workers on loopback."""

import os
import shutil
import socket
import subprocess
import time

import pytest

pytest.importorskip("pyspark", reason="PySpark is not installed here: make test-lake")
pytest.importorskip("duckdb", reason="DuckDB is not installed here: make test-lake")

import pyspark
from test_lake_questions import answers, same

from energymeter.lake import Tables, generate

pytestmark = pytest.mark.peers
if shutil.which("java") is None:
    pytest.skip("Java is not installed here: apt install openjdk-17-jre-headless", allow_module_level=True)

HOME = os.path.dirname(pyspark.__file__)
LOOPBACK = "127.0.0.1"


def session(master):
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        active.stop()
    return (
        SparkSession.builder.master(master)
        .appName("energymeter tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", LOOPBACK)
        .config("spark.driver.bindAddress", LOOPBACK)
        .config("spark.driver.memory", "1g")
        .config("spark.executor.memory", "700m")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("fleet") / "lake"
    generate(path, boards=5, hours=26, rate_hz=1)
    return path


def test_local_spark_says_the_same(root):
    spark = session("local[2]")
    try:
        same(answers(Tables(root)), answers(Tables(root, "spark", session=spark)))
    finally:
        spark.stop()


@pytest.fixture
def cluster(tmp_path):
    """A master and two workers, as processes of their own."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    master = f"spark://{LOOPBACK}:{port}"
    environment = {
        **os.environ,
        "SPARK_HOME": HOME,
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_WORKER_DIR": str(tmp_path),
    }
    started = []

    def start(name, *arguments):
        command = [os.path.join(HOME, "bin", "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
        with open(tmp_path / f"{len(started)}.log", "wb") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    try:
        start("master.Master", "--host", LOOPBACK, "--port", str(port), "--webui-port", "0")
        for _ in range(2):
            start("worker.Worker", "-h", LOOPBACK, "-c", "1", "-m", "1g", "--webui-port", "0", master)
        until = time.monotonic() + 90
        while time.monotonic() < until:
            logs = [
                (tmp_path / f"{number}.log").read_text(errors="replace") for number in range(len(started))
            ]
            if sum("Successfully registered with master" in log for log in logs) == 2:
                break
            time.sleep(0.2)
        else:
            pytest.fail("the workers did not register: " + logs[-1][-500:])
        yield master
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def test_a_cluster_of_two_workers_says_the_same(root, cluster):
    spark = session(cluster)
    try:
        found = answers(Tables(root, "spark", session=spark))
        executors = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size()
        assert executors == 3  # two workers and the driver
    finally:
        spark.stop()
    same(answers(Tables(root)), found)
