"""Boot an emulated Raspberry Pi 3 and let `energymeter devices` say there what board it is.

    run.py CACHE PYTHON

The kernel is Debian's, the device tree is the board's, the SD card holds Debian's Python; the package is the
working tree. Ends with 0 where this cannot be had (no Debian packages, no QEMU), and says so in one line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BOOT_SECONDS = 180
"""It takes 25 s; one that hangs in its boot gets a second chance."""
SKIPPED = 77
MODEL, BOARD = "Raspberry Pi 3 Model B", "pi3b+"
"""What the device tree says, and the board of `energymeter.boards` that it is."""


def main() -> int:
    cache, python = sys.argv[1:]
    built = subprocess.run(
        ["bash", HERE / "build.sh", cache, python], stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode:
        return 0 if built.returncode == SKIPPED else built.returncode
    version = built.stdout.split()[-1]
    for _ in range(2):
        said = console(Path(cache).resolve(), version)
        if "\nEND " in said:
            return judged(said)
        print(f"bench-raspi: the board did not come up; its last words:\n{said[-2000:]}", file=sys.stderr)
    return 1


def judged(said: str) -> int:
    """Compare what `energymeter devices --json` printed with the board."""
    model = said.partition("BOARD ")[2].partition("\n")[0].strip()
    answer, _, end = said.partition("\nBEGIN")[2].partition("\nEND ")
    try:
        report = json.loads(answer)
    except ValueError:
        print(f"bench-raspi: `energymeter devices` said no JSON:\n{answer}", file=sys.stderr)
        return 1
    board, choice, status = report["board"], report["choice"], end.split()[0]
    right = (model, board, status) == (MODEL, BOARD, "0")
    print(
        f"bench-raspi: on a {model}, `energymeter devices` says {board}, takes {choice['spec']} "
        f"({choice['reason']}) and ends with {status}: {'right' if right else 'WRONG'}"
    )
    return 0 if right else 1


def console(cache: Path, version: str) -> str:
    """All that the board said on its second serial port, until it was done or its time was over."""
    heard = cache / "bench-raspi" / "console"
    heard.write_bytes(b"")
    machine = subprocess.Popen(
        command(cache, version, heard), stdin=subprocess.DEVNULL, env=_environment(cache)
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


def command(cache: Path, version: str, heard: Path) -> list[str]:
    """QEMU's. One thread for all four processors: with a thread for each, many boots hang."""
    own = cache / "bench-raspi"
    tree = own / "kernel" / "usr" / "lib" / f"linux-image-{version}" / "broadcom" / "bcm2837-rpi-3-b.dtb"
    append = "console=ttyAMA0,115200 console=ttyS1,115200 loglevel=1 nokaslr panic=-1"
    return [
        *("qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=single", "-nodefaults", "-no-reboot"),
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
