"""A ``/proc/stat`` that a test turns on by hand."""

from pathlib import Path


class ProcStat:
    """Four cores under ``root``; each ``run`` lets their ticks of 10 ms pass."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._path = root / "proc/stat"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # user nice system idle iowait irq softirq steal guest guest_nice; guest is in user already.
        self._ticks = [10_000, 50, 3_000, 900_000, 400, 0, 77, 0, 500, 0]
        self.run(0, 0.0)

    def run(self, ticks: int, busy: float) -> None:
        """Let ``ticks`` pass, of which a share was busy."""
        work = round(ticks * busy)
        self._ticks[0] += work
        self._ticks[8] += work // 2
        self._ticks[3] += (ticks - work) // 2
        self._ticks[4] += ticks - work - (ticks - work) // 2
        self._path.write_text(
            f"cpu  {' '.join(map(str, self._ticks))}\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1 2 3\n"
        )
