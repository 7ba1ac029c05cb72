"""What a Raspberry Pi says about a sagging supply and throttled clocks, before and after a run.

Bits of ``vcgencmd get_throttled`` (documentation/asciidoc/computers/os/graphics-utilities.adoc in
raspberrypi/documentation): 0 to 3 are now, 16 to 19 the same four since boot.
"""

import os

_SINCE_BOOT = 16
_STATES = (
    (0, "the supply sagged below 4.63 V", "use a better supply or a shorter cable"),
    (1, "the processor's clock was capped", "cool it or give it a better supply"),
    (2, "the processor was throttled", "cool it or give it a better supply"),
    (3, "the soft temperature limit slowed the processor", "cool it"),
)


def read(command: str = "vcgencmd") -> int | None:
    """The bits as they stand; None on a machine that is no Raspberry Pi, or whose firmware will not say."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = [command] if os.sep in command else [f"{folder}/{command}" for folder in folders]
    if not any(os.access(path, os.X_OK) for path in paths):
        return None  # seen without the milliseconds that a failing start costs
    import re
    import subprocess

    try:
        done = subprocess.run(
            [command, "get_throttled"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2.0,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(rb"throttled=(0x[0-9a-fA-F]+)", done.stdout)
    return int(said.group(1), 16) if said else None


def sentences(before: int | None, after: int | None) -> list[str]:
    """What went wrong between two readings, one sentence each; empty when nothing did or nobody can tell.

    >>> sentences(0x0, 0x50005)[0]
    'During the run the supply sagged below 4.63 V, so its figures are not those of a healthy board; ...'
    """
    if before is None or after is None:
        return []
    reported = []
    for bit, happened, remedy in _STATES:
        now = 1 << bit
        ever = now << _SINCE_BOOT
        if (before | after) & now or (after & ever and not before & ever):
            reported.append(
                f"During the run {happened}, so its figures are not those of a healthy board; "
                f"{remedy}, then run again."
            )
        elif before & ever:
            reported.append(
                f"Since boot, before the run, {happened}; whether it did so again cannot be reported: "
                f"reboot to clear the flag, and {remedy}."
            )
    return reported
