"""An emulated jetson-stats service, and the client object that ``jtop.jtop`` would be."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any


class JtopException(Exception):
    """The package's one error."""


def rail(millivolts: int, milliamps: int, **more: Any) -> dict[str, Any]:
    power = int(millivolts * (milliamps / 1000))
    return {"volt": millivolts, "curr": milliamps, "online": True, "power": power, "avg": power, **more}


class Service:
    """What the service knows; a test changes it and calls `tick`."""

    def __init__(
        self, rails: dict[str, dict[str, Any]], total: str | None = None, interval: float = 0.0
    ) -> None:
        self.rails = rails
        self.total = total
        self.interval = interval  # 0: the first client sets it
        self.rejection: BaseException | None = None
        self.hangs = threading.Event()
        self.hangs.set()  # set: it answers
        self.clients: list[Client] = []
        self.uptime = 100.0

    @property
    def power(self) -> dict[str, Any]:
        if not self.rails:
            return {}
        rails = {name: dict(values) for name, values in self.rails.items()}
        if self.total in rails:
            return {"tot": {**rails.pop(self.total), "name": self.total}, "rail": rails}
        sums = {key: sum(values[key] for values in rails.values()) for key in ("power", "avg")}
        return {"tot": sums, "rail": rails}

    def client(self, interval: float) -> "Client":
        client = Client(self, interval)
        self.clients.append(client)
        return client

    def tick(self) -> None:
        """The sensors are read, and every client is found."""
        self.uptime += 0.5
        self.repeat()

    def repeat(self) -> None:
        """Every client is found again what it knows."""
        for client in self.clients:
            client.outcome()

    def die(self, error: BaseException) -> None:
        for client in self.clients:
            client.error = error


class Client:
    """One connection."""

    def __init__(self, service: Service, interval: float) -> None:
        self._service = service
        self.asked = interval
        self.interval = 0.0
        self.power: Any = None
        self.uptime: Any = None
        self.error: BaseException | None = None
        self.closed = threading.Event()
        self._observers: list[Callable[[Any], None]] = []

    def attach(self, observer: Callable[[Any], None]) -> None:
        self._observers.append(observer)

    def start(self) -> None:
        self._service.hangs.wait()
        if self._service.rejection is not None:
            raise self._service.rejection
        self._service.interval = self._service.interval or self.asked
        self.interval = self._service.interval
        self.outcome()

    def outcome(self) -> None:
        if not self.closed.is_set():
            self.uptime = timedelta(seconds=self._service.uptime)
            self.power = self._service.power
            for observer in self._observers:
                observer(self)

    def ok(self, spin: bool = False) -> bool:
        assert spin, "a read must not wait for the next sample"
        if self.error is not None:
            raise self.error
        return not self.closed.is_set()

    def close(self) -> None:
        self.closed.set()
