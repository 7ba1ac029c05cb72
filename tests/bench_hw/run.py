"""Boot the bench's virtual machine, run its tests inside, and hand back how they ended.

    run.py CACHE PYTHON [pytest arguments]

The guest sees this machine's files read-only under a layer of memory, so the tests run from the working
tree with this machine's interpreter; only CACHE/out is written. While it runs, the guest may wish for orders
to QEMU's monitor (a file CACHE/out/wish), say to be stopped for some seconds.

Ends with 0 where the bench is unavailable (no Debian packages, no QEMU) or is too slow to be done in
time, and says so in one line.
"""

import contextlib
import json
import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
MINUTES = 10
HUNG_SECONDS = 180
"""No test takes half of this, however slow the machine."""
UP_SECONDS = 120
"""It takes 5 s; one that hangs in its boot gets a second chance."""
SKIPPED = 77


def main() -> int:
    cache, python, *arguments = sys.argv[1:]
    end = time.monotonic() + MINUTES * 60
    built = subprocess.run(
        ["bash", HERE / "build.sh", cache, python], stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode == SKIPPED:
        return 0
    if built.returncode:
        return built.returncode
    version = built.stdout.split()[-1]
    folder = Path(cache).resolve()
    out = folder / "out"
    out.mkdir(exist_ok=True)
    threading.Thread(target=_serve_wishes, args=(out,), daemon=True).start()
    for _ in range(2):
        for old in out.iterdir():
            old.unlink()
        (out / "command").write_text(_command_in_guest(folder, python, arguments))
        with _machine(folder, version) as machine:
            if _until_up(machine, out):
                return _until_done(machine, out, end)
        print("bench-hw: the machine did not come up", file=sys.stderr)
    return 1


def _command_in_guest(folder: Path, python: str, arguments: list[str]) -> str:
    tag = subprocess.check_output(
        [python, "-c", "import sys; print(sys.implementation.cache_tag)"], text=True
    )
    environment = {"PYTHONPATH": str(folder / f"oracles-{tag.strip()}")}
    if data := os.environ.get("ENERGYMETER_TEST_DATA"):
        environment["ENERGYMETER_TEST_DATA"] = str(Path(data).absolute())
    settings = [f"{name}={value}" for name, value in environment.items()]
    return shlex.join(["env", *settings, str(Path(python).absolute()), "-m", "pytest", *arguments])


@contextlib.contextmanager
def _machine(folder: Path, version: str) -> "Iterator[subprocess.Popen[bytes]]":
    tools = folder / "tools"
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{tools}/usr/bin"}
    if tools.exists():
        environment["LD_LIBRARY_PATH"] = f"{tools}/usr/lib/x86_64-linux-gnu:{tools}/lib/x86_64-linux-gnu"
    machine = subprocess.Popen(command(folder, version), stdin=subprocess.DEVNULL, env=environment)
    try:
        yield machine
    finally:
        if machine.poll() is None:
            machine.send_signal(signal.SIGTERM)
        machine.wait()


def _until_up(machine: "subprocess.Popen[bytes]", out: Path) -> bool:
    end = time.monotonic() + UP_SECONDS
    while time.monotonic() < end and machine.poll() is None:
        if (out / "up").exists():
            return True
        time.sleep(0.2)
    return (out / "up").exists()


def _until_done(machine: "subprocess.Popen[bytes]", out: Path, end: float) -> int:
    while time.monotonic() < end and machine.poll() is None and not (out / "rc").exists():
        time.sleep(0.2)
    with contextlib.suppress(subprocess.TimeoutExpired):
        machine.wait(10)  # it powers off
    with contextlib.suppress(OSError, ValueError):
        return int((out / "rc").read_text())
    return _cut_off(machine, out)


def _cut_off(machine: "subprocess.Popen[bytes]", out: Path) -> int:
    """What a bench that did not end is worth: nothing failed and it still got on, or else it is broken."""
    try:
        last, since = (out / "running").read_text(), time.time() - (out / "running").stat().st_mtime
    except OSError:
        last, since = "none", math.inf
    if machine.poll() is None and since < HUNG_SECONDS and not (out / "failed").exists():
        print(f"bench-hw: SKIPPED the rest: {MINUTES} minutes are over, at {last}")
        return 0
    print(f"bench-hw: it hung, failed or ended without a word; its last test was {last}", file=sys.stderr)
    return 1


def command(folder: Path, version: str) -> list[str]:
    """QEMU's. Emulation is named explicitly (a /dev/kvm that opens may still not work), and a processor
    old enough to be emulated fast, new enough for RAPL and for numpy's wheels. One processor only: a USB
    transfer wakes three threads in turn, and to wake another emulated processor takes 50 times as long."""
    kernel = folder / "kernel" / "boot" / f"vmlinuz-{version}"
    append = "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off random.trust_cpu=on nokaslr"
    append += f" bench.init={HERE / 'guest.sh'}"
    shared = "security_model=none,multidevs=remap"
    # what real processors of this model have and the emulator has not: it warns otherwise
    processor = "SandyBridge,-x2apic,-tsc-deadline"
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single,tb-size=512", "-cpu", processor),
        *("-smp", "1", "-m", "2048", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel), "-initrd", str(folder / "initramfs.gz"), "-append", append),
        *("-serial", "stdio", "-device", "virtio-rng-pci"),
        *("-qmp", f"unix:{folder / 'out' / 'monitor'},server=on,wait=off"),
        *("-fsdev", f"local,id=host,path=/,readonly=on,{shared}"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-fsdev", f"local,id=cache,path={folder},{shared}"),
        *("-device", "virtio-9p-pci,fsdev=cache,mount_tag=cache"),
    ]


def _serve_wishes(out: Path) -> None:
    """Do to the machine what the guest wrote, whenever it did: pairs of seconds to wait and an order."""
    while True:
        time.sleep(0.1)
        with contextlib.suppress(OSError, ValueError):
            orders = json.loads((out / "wish").read_text())
            (out / "wish").unlink()
            for seconds, order in orders:
                time.sleep(seconds)
                _tell(out / "monitor", order)


def _tell(monitor: Path, order: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.fspath(monitor))
        talk = line.makefile("rw")
        talk.readline()
        for execute in ("qmp_capabilities", order):
            talk.write(json.dumps({"execute": execute}) + "\n")
            talk.flush()
            talk.readline()


if __name__ == "__main__":
    sys.exit(main())
