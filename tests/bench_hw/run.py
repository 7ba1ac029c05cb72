"""Boot the bench's virtual machine, run its tests inside, and hand back how they ended.

    run.py CACHE PYTHON [pytest arguments]

The guest sees this machine's files read-only under a layer of memory, so the tests run from the working
tree with this machine's interpreter; only CACHE/out is written. While it runs, the guest may ask to be
stopped for some seconds (a file CACHE/out/stop-me) through QEMU's monitor.
"""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MINUTES = 10
SKIPPED = 77


def main() -> int:
    cache, python, *arguments = sys.argv[1:]
    built = subprocess.run(["bash", HERE / "build.sh", cache], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode == SKIPPED:
        return 0
    if built.returncode:
        return built.returncode
    version = built.stdout.split()[-1]
    folder = Path(cache).resolve()
    out = folder / "out"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    (out / "command").write_text(shlex.join([str(Path(python).absolute()), "-m", "pytest", *arguments]))
    monitor = out / "monitor"
    machine = subprocess.Popen(command(folder, version, monitor), stdin=subprocess.DEVNULL)
    threading.Thread(target=_serve_stops, args=(out / "stop-me", monitor), daemon=True).start()
    try:
        machine.wait(MINUTES * 60)
    except subprocess.TimeoutExpired:
        print(f"bench-hw: not done after {MINUTES} minutes", file=sys.stderr)
        return 1
    finally:
        if machine.poll() is None:
            machine.send_signal(signal.SIGTERM)
            machine.wait()
    try:
        return int((out / "rc").read_text())
    except (OSError, ValueError):
        print("bench-hw: the guest ended without a word", file=sys.stderr)
        return 1


def command(folder: Path, version: str, monitor: Path) -> list[str]:
    """QEMU's. Emulation is named explicitly (a /dev/kvm that opens may still not work), and a processor
    old enough to be emulated fast, new enough for RAPL and for numpy's wheels."""
    kernel = folder / "kernel" / "boot" / f"vmlinuz-{version}"
    append = "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off random.trust_cpu=on nokaslr"
    append += f" bench.init={HERE / 'guest.sh'}"
    shared = "security_model=none,multidevs=remap"
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "SandyBridge"),
        *("-smp", "2", "-m", "2048", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel), "-initrd", str(folder / "initramfs.gz"), "-append", append),
        *("-serial", "stdio", "-device", "virtio-rng-pci", "-qmp", f"unix:{monitor},server=on,wait=off"),
        *("-fsdev", f"local,id=host,path=/,readonly=on,{shared}"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-fsdev", f"local,id=cache,path={folder},{shared}"),
        *("-device", "virtio-9p-pci,fsdev=cache,mount_tag=cache"),
    ]


def _serve_stops(wish: Path, monitor: Path) -> None:
    """Stop the machine for as many seconds as the guest wrote, whenever it did."""
    while True:
        time.sleep(0.1)
        with contextlib.suppress(OSError, ValueError):
            seconds = float(wish.read_text())
            _tell(monitor, "stop")
            wish.unlink()
            time.sleep(seconds)
            _tell(monitor, "cont")


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
