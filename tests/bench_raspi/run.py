"""Boot emulated Raspberry Pis, a Zero W and a 3, and let `energymeter devices` say there what board it is.

    run.py CACHE PYTHON

The kernel is Debian's, the device tree is the board's, the SD card holds Debian's Python; the package is the
working tree. Without Debian packages or QEMU it exits with 0 and prints the reason on one line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
BOOT_SECONDS = 400
"""On a quiet machine it takes 25 s; one that hangs in its boot gets a second chance."""
SKIPPED = 77


class Pi(NamedTuple):
    """A board that QEMU has."""

    model: str
    """What its device tree says."""
    board: str
    """The board of `energymeter.boards` that it is."""
    arch: str
    """Debian's name."""
    emulator: str
    machine: str
    tree: str
    append: str = ""
    """More for the kernel's command line."""


PIS = (
    # its power manager touches registers that QEMU's raspi0 has not, and the kernel panics
    Pi(
        *("Raspberry Pi Zero W", "pi-zero-w", "armel", "qemu-system-arm", "raspi0", "bcm2835-rpi-zero-w.dtb"),
        append=" initcall_blacklist=bcm2835_pm_driver_init",
    ),
    Pi(
        *("Raspberry Pi 3 Model B", "pi3b+", "arm64", "qemu-system-aarch64", "raspi3b"),
        tree="broadcom/bcm2837-rpi-3-b.dtb",
    ),
)


def main() -> int:
    cache, python = sys.argv[1:]
    return max(tried(pi, cache, python) for pi in PIS)


def tried(pi: Pi, cache: str, python: str) -> int:
    """Exit status of one board; 0 also where it was skipped."""
    built = subprocess.run(
        ["bash", HERE / "build.sh", pi.arch, cache, python], stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode:
        return 0 if built.returncode == SKIPPED else built.returncode
    version = built.stdout.split()[-1]
    for _ in range(2):
        said = console(pi, Path(cache).resolve(), version)
        if "\nEND " in said:
            return judged(pi, said)
        print(f"bench-raspi: the {pi.model} did not come up, saying:\n{said[-2000:]}", file=sys.stderr)
    return 1


def judged(pi: Pi, said: str) -> int:
    """Compare what `energymeter devices --json` printed with the board."""
    model = said.partition("BOARD ")[2].partition("\n")[0].strip()
    answer, _, end = said.partition("\nBEGIN")[2].partition("\nEND ")
    try:
        report = json.loads(answer)
    except ValueError:
        print(f"bench-raspi: `energymeter devices` said no JSON:\n{answer}", file=sys.stderr)
        return 1
    board, choice, status = report["board"], report["choice"], end.split()[0]
    right = (model, board, status) == (pi.model, pi.board, "0")
    print(
        f"bench-raspi: on a {model}, `energymeter devices` says {board}, takes {choice['spec']} "
        f"({choice['reason']}) and ends with {status}: {'right' if right else 'WRONG'}"
    )
    return 0 if right else 1


def console(pi: Pi, cache: Path, version: str) -> str:
    """All that the board said on its second serial port, until it was done or its time was over."""
    heard = cache / "bench-raspi" / pi.arch / "console"
    heard.write_bytes(b"")
    machine = subprocess.Popen(
        command(pi, cache, version, heard), stdin=subprocess.DEVNULL, env=_environment(cache)
    )
    end = time.monotonic() + BOOT_SECONDS
    try:
        while time.monotonic() < end and machine.poll() is None and b"\nEND " not in heard.read_bytes():
            time.sleep(0.2)
        time.sleep(0.5)  # the rest of its last line
    finally:
        machine.send_signal(signal.SIGTERM)
        machine.wait()
    return heard.read_text(errors="replace").replace("\r\n", "\n")


def command(pi: Pi, cache: Path, version: str, heard: Path) -> list[str]:
    """QEMU's. One thread for all four processors: with a thread for each, many boots hang."""
    own = cache / "bench-raspi" / pi.arch
    tree = own / "kernel" / "usr" / "lib" / f"linux-image-{version}" / pi.tree
    append = f"console=ttyAMA0,115200 console=ttyS1,115200 loglevel=1 nokaslr panic=-1{pi.append}"
    return [
        *(pi.emulator, "-M", pi.machine, "-accel", "tcg,thread=single", "-nodefaults", "-no-reboot"),
        *("-display", "none", "-kernel", str(own / "kernel" / "boot" / f"vmlinuz-{version}")),
        *("-dtb", str(tree), "-initrd", str(own / "initramfs.gz"), "-append", append),
        *("-serial", "null", "-serial", f"file:{heard}"),
        *("-drive", f"file={own / 'sd.img'},if=sd,format=raw,snapshot=on"),
    ]


def _environment(cache: Path) -> dict[str, str]:
    tools = cache / "bench-hw" / "tools"
    libraries = f"{tools}/usr/lib/x86_64-linux-gnu:{tools}/lib/x86_64-linux-gnu"
    return {**os.environ, "PATH": f"{os.environ['PATH']}:{tools}/usr/bin", "LD_LIBRARY_PATH": libraries}


if __name__ == "__main__":
    sys.exit(main())
