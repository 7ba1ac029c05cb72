"""What an agent refuses is logged once for each cause, however often it is tried."""

import threading

from energymeter.serve.agent import log
from energymeter.text import printable

MOST_CAUSES = 1000


class Rejections:
    """Counts rejections by their cause, and logs the first of each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {}

    def note(self, cause: str, text: str) -> None:
        """One rejection.

        Args:
            cause: what is counted together.
            text: a sentence without secrets.
        """
        with self._lock:
            if cause not in self.counts and len(self.counts) >= MOST_CAUSES:
                cause = "others"
            count = self.counts[cause] = self.counts.get(cause, 0) + 1
        if count == 1:
            log.warning("%s", printable(text))
