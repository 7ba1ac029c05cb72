"""One connection to the jetson-stats service, kept from hanging and made to explain itself."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout
from energymeter.text import printable


class Client(Protocol):
    """What is used of ``jtop.jtop``, versions 4.2 to 7.2."""

    interval: float
    power: Any
    uptime: Any

    def attach(self, observer: Callable[["Client"], None]) -> None: ...
    def start(self) -> None: ...
    def ok(self, spin: bool = False) -> bool: ...
    def close(self) -> None: ...


class Rails(NamedTuple):
    """One sample of every rail, as the service names its figures (mV, mA, mW)."""

    rails: Mapping[str, Mapping[str, Any]]
    at_ns: int


class Session:
    """One connection: the newest sample, and whether it is new."""

    def __init__(self, client: Client, interval: float) -> None:
        self._client = client
        self._asked = interval
        self._uptime: Any = None
        self._sample: Rails | None = None
        self._seen_ns = 0

    def start(self) -> None:
        """Connect; may hang, so make it an `Attempt`."""
        self._client.attach(self._arrived)
        self._client.start()

    def _arrived(self, client: Client) -> None:
        """Called by the client's own thread whenever the service spoke, if only to repeat itself."""
        if client.uptime != self._uptime:
            self._uptime = client.uptime
            self._sample = Rails(_flat(client.power), time.monotonic_ns())

    @property
    def interval(self) -> float:
        """The pace of the service, in seconds."""
        return self._client.interval

    def rails(self) -> Mapping[str, Mapping[str, Any]]:
        """The rails of the newest sample; none before the first."""
        return self._sample.rails if self._sample is not None else {}

    def latest(self) -> Rails:
        """The newest sample, which may be the same as last time.

        Raises:
            SourceError: the connection is lost, or the service has been silent for too long.
        """
        sample = self._sample
        if sample is None:
            raise SourceTimeout(
                "the jtop service sent no sample; restart it with `sudo systemctl restart jtop`"
            )
        if sample.at_ns != self._seen_ns:
            self._seen_ns = sample.at_ns
            return sample
        try:
            alive = self._client.ok(spin=True)
        except Exception as error:  # whatever its thread died of
            raise explained(error) from error
        patience = max(3.0 * self._asked, 3.0 * self._client.interval, 1.5)
        if not alive or time.monotonic_ns() - sample.at_ns > patience * 1e9:
            raise SourceTimeout(
                "the jtop service has sent nothing new for a while: it hangs or its sensor does; "
                "restart it with `sudo systemctl restart jtop`"
            )
        return sample

    def close(self) -> None:
        """Let go without waiting: the client's ``close`` joins a thread that runs dpkg and nvcc."""
        threading.Thread(target=self._client.close, daemon=True).start()


class Attempt:
    """A call that may never return, made in a thread of its own; ``undo`` it should it return too late."""

    def __init__(self, call: Callable[[], None], undo: Callable[[], None]) -> None:
        self._call = call
        self._undo = undo
        self._given_up = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 (handed to the thread that waits)
            self._error = error
        if self._given_up:
            self._undo()

    @property
    def pending(self) -> bool:
        """True while the call has not come back."""
        return self._thread.is_alive()

    def within(self, seconds: float) -> None:
        """Wait for it.

        Raises:
            SourceTimeout: it is not back after ``seconds``.
            SourceError: it failed.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._given_up = True
            raise hung(seconds)
        if self._error is not None:
            raise explained(self._error) from self._error


def _flat(power: Any) -> dict[str, Mapping[str, Any]]:
    """Every rail by name, the total under the name of the rail that it is."""
    if not isinstance(power, Mapping):
        return {}
    rails = dict(power.get("rail", {}))
    total = power.get("tot", {})
    if "name" in total:
        rails[total["name"]] = total
    return rails


def hung(seconds: float) -> SourceTimeout:
    """The service took the call and kept silent."""
    return SourceTimeout(
        f"the jtop service took the call but did not answer within {seconds:g} s; "
        "restart it with `sudo systemctl restart jtop`"
    )


def explained(error: BaseException) -> SourceError:
    """What a failure of jetson-stats means, and what to do about it."""
    text = str(error)
    if "not active" in text:
        return SourceMissing(
            "the jtop service is not running; start it with `sudo systemctl enable --now jtop`, "
            "or install it with `sudo jtop --install-service`"
        )
    if "can't access" in text or isinstance(error, PermissionError):
        return SourceForbidden(
            "this user may not talk to the jtop service; "
            "`sudo usermod -aG jtop $USER`, then log out and in again"
        )
    if versions := re.search(r"service: \[(.*?)\] and client: \[(.*?)\]", text):
        service, ours = versions.groups()
        return SourceError(
            f"the jtop service is version {service} and the package here {ours}; install the same one here: "
            f"pip install jetson-stats=={service}"
        )
    if "Python versions" in text or "Authentication" in text:
        return SourceError(
            "the jtop service does not understand this client; install the service's version of "
            "jetson-stats here, or reinstall both with "
            "`sudo pip3 install -U jetson-stats && sudo jtop --install-service`"
        )
    if isinstance(error, EOFError) or "Lost connection" in text:
        return SourceError(
            "the jtop service went away; look into `journalctl -u jtop` and restart it with "
            "`sudo systemctl restart jtop`"
        )
    if "Error connection" in text:
        return SourceTimeout(
            "the jtop service cannot keep this pace; ask for less, such as `jtop?interval=1`"
        )
    return SourceError(
        f"jetson-stats failed with {type(error).__name__}: {printable(text[:200]) or 'no reason given'}; "
        "restart the service with `sudo systemctl restart jtop`"
    )
