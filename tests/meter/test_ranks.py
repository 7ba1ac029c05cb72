"""`RankMeter`: a machine is sampled and counted once, however many ranks there are."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from devices.wired_hosts import wired

from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.meter.ranks import Rank, RankMeter

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, (0, 0, 1, "", 1)),
        (
            {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"},
            (3, 1, 4, "torchrun", 2),
        ),
        (
            {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
            (1, 1, 2, "Open MPI", 0),
        ),
        ({"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}, (5, 1, 8, "SLURM", 0)),
        (
            {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"},
            (5, 0, 8, "SLURM", 4),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "3"}, (0, 0, 3, "SLURM", 3)),
        (
            {"SLURM_PROCID": "2", "SLURM_NTASKS": "5", "SLURM_STEP_TASKS_PER_NODE": "2(x2),1"},
            (2, 0, 5, "SLURM", 0),
        ),
    ],
)
def test_a_rank_is_known_by_its_launcher(environment, rank):
    assert Rank.here(environment) == rank


@pytest.mark.parametrize(
    "environment",
    [{"RANK": "4", "WORLD_SIZE": "4"}, {"RANK": "-1", "WORLD_SIZE": "2"}, {"RANK": "a", "WORLD_SIZE": "2"}],
)
def test_a_rank_that_makes_no_sense_is_refused(environment):
    with pytest.raises(SpecError, match="unset"):
        Rank.here(environment)


PROGRAM = """
import json, os, sys, time
from energymeter.meter.ranks import RankMeter
folder, seconds = sys.argv[1], float(sys.argv[2])
meter = RankMeter("manual:4V,1A", folder=folder, job=sys.argv[3], wait_seconds=5.0)
with meter:
    sampling = meter.is_sampler
    time.sleep(seconds)
usage = meter.usage
said = {"rank": meter.rank.number, "sampler": sampling, **usage.to_dict(), "share": meter.share.to_dict()}
os.write(1, (json.dumps(said) + "\\n").encode())  # one piece, which the others' do not split
"""


def start(rank, world, folder, seconds=1.5, host="", source=PROGRAM, job="a"):
    environment = {
        **os.environ,
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": "0",
        "ENERGYMETER_RANK_HOST": host,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", source, str(folder), str(seconds), job]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def said(processes):
    found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return sorted(found, key=lambda one: one["rank"])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shared").mkdir(mode=0o700)
    return tmp_path / "shared"


@pytest.mark.slow
def test_four_ranks_of_a_machine_count_it_once(folder):
    found = said([start(rank, 4, folder) for rank in range(4)])
    assert sum(one["sampler"] for one in found) == 1
    first, *others = found
    assert first["joules"] == pytest.approx(4.0 * first["seconds"], rel=0.02)
    assert first["mean_watts"] == pytest.approx(4.0, rel=0.02)
    assert not [note for note in first["notes"] if "rank" in note or "stopped" in note]
    assert len(first["sources"]) == 1
    for one in others:
        assert one["mean_watts"] == pytest.approx(1.0, rel=0.02)
        assert "1/4 of" in one["notes"][-1]
        assert "not measured" in one["notes"][-1]
        assert one["provenance"] == "manual"


@pytest.mark.slow
def test_two_machines_are_added_each_once(folder):
    found = said([start(rank, 4, folder, host=f"node{rank // 2}") for rank in range(4)])
    assert sum(one["sampler"] for one in found) == 2
    first = found[0]
    assert first["mean_watts"] == pytest.approx(8.0, rel=0.02)
    assert [source.partition(":")[0] for source in first["sources"]] == ["node0", "node1"]
    assert first["provenance"] == "manual"


@pytest.mark.slow
def test_a_killed_rank_costs_coverage_and_not_the_result(folder):
    processes = [start(rank, 2, folder, 3.5, host=f"node{rank}") for rank in range(2)]
    until = time.monotonic() + 30
    while time.monotonic() < until and not any(_holds_figures(path) for path in folder.rglob("host-*.json")):
        time.sleep(0.05)
    time.sleep(1.2)
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate()
    (first,) = said(processes[:1])
    assert "node1 stopped sampling before the end" in first["notes"]
    assert 0 < first["coverage"] < 0.95
    assert first["joules"] == pytest.approx(4.0 * sum(first["covered_seconds"]), rel=0.05)


def _holds_figures(path):
    return path.stat().st_size > 0


@pytest.mark.slow
def test_missing_ranks_are_named(folder):
    (first,) = said([start(0, 3, folder, 0.3)])
    assert "2 of 3 ranks never began: 1, 2" in first["notes"]


def test_a_second_job_of_one_name_is_refused(folder, monkeypatch):
    with RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0):
        pass
    with pytest.raises(LogError, match="earlier job"), RankMeter("manual:5V,0.6A", folder=folder, job="a"):
        pass
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(SpecError, match="rdzv-id"):
        RankMeter("manual:5V,0.6A", folder=folder)


def test_a_meter_can_be_entered_again(folder):
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0)
    for _ in range(2):
        with meter:
            time.sleep(0.05)
        assert meter.usage.mean_watts == pytest.approx(3.0)


def test_a_share_is_that_of_one_of_the_ranks_of_a_machine(folder):
    """Three ranks on this machine and one on another, which wrote no more than that they began."""
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0)
    with meter:
        time.sleep(0.05)
        (block,) = folder.glob("*/block-1")
        for number, host in ((1, meter.host), (2, meter.host), (3, "another")):
            (block / f"rank-{number}.json").write_text(json.dumps({"host": host, "ended": True}))
    whole, share = meter.usage, meter.share
    assert share.joules == pytest.approx(whole.joules / 3)
    assert share.coulombs == pytest.approx(share.joules / 5.0)
    assert share.seconds == whole.seconds
    assert share.peak_watts is None
    assert [one.joules for one in share.components] == pytest.approx(
        [one.joules / 3 for one in whole.components]
    )
    assert share.components
    assert share.notes[-1] == f"1/3 of {meter.host}, shared equally among its ranks, not measured"


def test_other_ranks_report_their_share_and_do_not_wait(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=3600)
    assert not meter.is_sampler
    with meter:
        assert meter.is_sampler, "the first of the machine that comes"
        time.sleep(0.05)
    assert not meter.is_sampler
    assert meter.usage == meter.share
    assert "shared equally" in meter.usage.notes[-1]


def test_a_share_waits_for_the_first_figures_of_its_machine(folder, monkeypatch):
    """Another rank of the machine samples, and its block has not ended yet."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    sampler = RankMeter("manual:5V,0.6A", folder=folder, job="a")
    with sampler:
        monkeypatch.setenv("RANK", "2")
        other = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0)
        with other:
            pass
        with pytest.raises(NotMeasured, match="measure for longer"):
            _ = other.usage
        patient = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=60)
        patient._block = 1
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(lambda: patient.share)
            # of four ranks of this machine, two have not begun yet
            assert asked.result(30).notes[-1].startswith("1/4 of ")


def test_ranks_that_go_on_after_the_one_that_samples_cost_coverage(folder):
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0)
    with meter:
        time.sleep(0.1)
    alone = meter.usage
    assert (alone.coverage, alone.notes) == (1.0, ())
    (block,) = folder.glob("*/block-1")
    (figures,) = block.glob("host-*.json")
    sampled_ns = json.loads(figures.read_text())["sampled_ns"]

    def summed(host, **said):
        meter._found = None
        (block / "rank-1.json").write_text(json.dumps({"host": host, **said}))
        return meter.usage

    longer = summed(meter.host, ended=True, left_ns=sampled_ns + 300_000_000)
    assert longer.joules == alone.joules
    assert longer.seconds == pytest.approx(alone.seconds + 0.3)
    assert longer.coverage == pytest.approx(alone.seconds / longer.seconds)
    assert f"{meter.host} stopped sampling before the end" in longer.notes
    shorter = summed(meter.host, ended=True, left_ns=sampled_ns - 50_000_000)
    assert (shorter.seconds, shorter.notes) == (alone.seconds, alone.notes)
    for odd in (0, -5, True, 1.5, "7", None, 10**30):
        assert summed(meter.host, ended=True, left_ns=odd).seconds == pytest.approx(alone.seconds)
    elsewhere = summed("another", ended=True, left_ns=sampled_ns + 300_000_000)
    assert elsewhere.seconds == alone.seconds  # another clock
    going_on = summed(meter.host, ended=False)
    assert "1 of 1 ranks had not ended: 1" in going_on.notes


def test_an_error_of_the_block_passes_untouched(folder):
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a")
    with pytest.raises(ZeroDivisionError), meter:
        1 / 0  # noqa: B018
    assert meter.usage.provenance == "manual"
    with pytest.raises(NotMeasured):
        _ = RankMeter("manual:5V,0.6A", folder=folder, job="b").usage


def test_what_others_wrote_is_checked(folder):
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a", wait_seconds=0)
    with meter:
        time.sleep(0.05)
        (block,) = folder.glob("*/block-1")
        for number, text in enumerate(
            ["", "[1]", "{}", '{"host": 1}', '{"host": "x", "joules": NaN}', "[" * 100_000]
        ):
            (block / f"host-{number}.json").write_text(text)
            (block / f"rank-{number + 1}.json").write_text(text)
    assert meter.usage.mean_watts == pytest.approx(3.0)


def test_a_folder_that_others_may_write_is_refused(folder):
    folder.chmod(0o777)
    (folder / "job").mkdir()
    meter = RankMeter("manual:5V,0.6A", folder=folder, job="a")
    os.makedirs(meter._folder, mode=0o700)
    os.chmod(meter._folder, 0o777)
    with pytest.raises(LogError, match="alone"), meter:
        pass


# Real launchers -------------------------------------------------------------------------------------------

TORCHRUN = Path(sys.executable).with_name("torchrun")
without_torch = pytest.mark.skipif(
    not TORCHRUN.exists(), reason="no torchrun next to this Python; `make test-integrations` runs this"
)
TRAINING = textwrap.dedent(
    """
    import json, os, sys, time
    import torch, torch.distributed as dist
    from energymeter.meter.ranks import RankMeter
    dist.init_process_group("gloo")
    with RankMeter("manual:4V,1A", wait_seconds=20.0) as meter:
        sampling = meter.is_sampler
        end = time.monotonic() + 1.5
        while True:
            more = torch.tensor([float(time.monotonic() < end)])
            dist.all_reduce(more, op=dist.ReduceOp.MIN)
            if not more.item():
                break
            torch.randn(64, 64) @ torch.randn(64, 64)
    said = {"rank": meter.rank.number, "sampler": sampling, **meter.usage.to_dict()}
    open(os.path.join(sys.argv[1], f"{meter.rank.number}.json"), "w").write(json.dumps(said))
    dist.destroy_process_group()
    """
)


@pytest.mark.peers
@without_torch
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_real_torchrun_counts_the_machine_once(ranks, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    for _ in range(2):  # a second job finds nothing of the first
        subprocess.run(
            [
                TORCHRUN,
                "--standalone",
                f"--nproc-per-node={ranks}",
                str(tmp_path / "train.py"),
                str(tmp_path),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            check=True,
            timeout=300,
        )
        found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(ranks)]
        assert sum(one["sampler"] for one in found) == 1
        assert found[0]["mean_watts"] == pytest.approx(4.0, rel=0.02)
        assert not [note for note in found[0]["notes"] if "rank" in note]
        for one in found[1:]:
            assert one["mean_watts"] == pytest.approx(4.0 / ranks, rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mpirun"), reason="no mpirun is installed here: apt install openmpi-bin")
def test_a_real_open_mpi_counts_the_machine_once(tmp_path):
    """Nothing holds its ranks together: they begin and end when they like."""
    command = [
        "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4",
        sys.executable, "-c", PROGRAM.replace(', job=sys.argv[3]', ""), str(tmp_path / "shared"), "1.5",
    ]  # fmt: skip
    (tmp_path / "shared").mkdir(mode=0o700)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    found = sorted(map(json.loads, run.stdout.splitlines()), key=lambda one: one["rank"])
    assert [one["rank"] for one in found] == [0, 1, 2, 3]
    assert sum(one["sampler"] for one in found) == 1
    assert found[0]["mean_watts"] == pytest.approx(4.0, rel=0.02)
    for one in found[1:]:
        assert one["share"]["mean_watts"] == pytest.approx(1.0, rel=0.02)
        assert one["notes"][-1].startswith("1/4 of ")


@pytest.mark.peers
@without_torch
@pytest.mark.parametrize("ranks_each", [1, 2])
def test_a_real_torchrun_on_two_hosts_counts_each_once(ranks_each, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "shared").mkdir(mode=0o700)
    with ExitStack() as stack:
        jobs = []
        for number, host in enumerate(wired(stack, "one", "two")):
            command = [
                "ip", "netns", "exec", host.namespace, "unshare", "--uts",
                "sh", "-c", f'hostname node{number} && exec "$@"', "sh",
                TORCHRUN, "--nnodes=2", f"--node-rank={number}", f"--nproc-per-node={ranks_each}",
                "--rdzv-id=two-hosts", "--master-addr=192.0.2.1", "--master-port=29400",
                f"--local-addr={host.address}", tmp_path / "train.py", tmp_path,
            ]  # fmt: skip
            environment = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
                "GLOO_SOCKET_IFNAME": host.device,
                "ENERGYMETER_RANKS": str(tmp_path / "shared"),
            }
            jobs.append(stack.enter_context(subprocess.Popen(command, env=environment)))
            stack.callback(jobs[-1].kill)
        assert [job.wait(300) for job in jobs] == [0, 0]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2 * ranks_each)]
    assert sum(one["sampler"] for one in found) == 2
    first, *others = found
    assert first["mean_watts"] == pytest.approx(8.0, rel=0.02)
    assert [source.partition("-")[0] for source in first["sources"]] == ["node0", "node1"]
    assert not [note for note in first["notes"] if "rank" in note or "stopped" in note]
    for one in others:
        assert one["mean_watts"] == pytest.approx(4.0 / ranks_each, rel=0.02)
