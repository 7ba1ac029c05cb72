"""Qoitech Otii Arc, Arc Pro and Ace, through the Otii 3 application that holds them.

    otii                                  the application on this computer, its only device
    otii@127.0.0.1:1905?device=Arc         by device id or name
    otii?user=me@example.org&password_env=OTII_PASSWORD

Needs the Otii 3 application running, with its TCP server switched on, logged in with an Automation licence
(or ``user`` and ``password`` here, which also take a free licence). The driver speaks the server's JSON
itself, so that no package is needed. It uses the recording that runs in the open project, or starts one and
stops it at the end. It never switches the device's supply: it is powered as the application says.

Semantics: counters. Joules and coulombs are the application's own statistics over the whole recording of
the main current (1 to 50 kS/s in the device), and the end of the recording is the time. Accuracy: ±1 %
here, a cautious figure from memory of the Arc's data sheet [from memory]; resolution below a microjoule.
Rate: once a second; every statistic is worked out over the whole recording by the application. Whether it
gives statistics of a recording that still runs is [from memory].

Sources: qoitech/otii-tcp-client-python (MIT): otii_connection.py for the frames (JSON objects ended by CR LF,
first one from the server), otii.py, arc.py, project.py, recording.py for the commands, otii_exception.py for
errors, examples/basic_measurement.py (``mc`` energy over 3600 is Wh there, so it is joules).

Renewal: with the statistics of the application, worked out when asked.
Counters: the application's joules and coulombs are the curve.
Loss: none; TCP delivers whole replies or an error.
Tested on: an emulated wire, from the client's documentation, not the application; real hardware: none yet.
"""

import contextlib
import time
from typing import Any

from energymeter.drivers.links.tcp import secret, split_host
from energymeter.drivers.links.timebase import Timebase
from energymeter.drivers.protocols.otii import PORT, OtiiServer
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError, not_open
from energymeter.reading import Band, Facts, Reading
from energymeter.text import printable
from energymeter.units import number

__all__ = ["Otii"]

_CHANNEL = "mc"


class Otii:
    """An Otii device's recording.

    Args:
        address: the application's address and port; empty: 127.0.0.1:1905.
        device: id or name; empty: the only one.
        user, password: for a log-in; empty: the application is logged in. ``password_env`` names an
            environment variable instead.
        timeout: seconds one answer may take.

    Raises:
        SpecError: no address.
    """

    facts = Facts(
        semantics="counter",
        joules=Band(gain=0.01),
        coulombs=Band(gain=0.01),
        amps=Band(gain=0.01),
        max_watts=1e3,  # far above what any model carries
        default_hz=1.0,
        max_hz=4.0,
        clock=50e-6,
    )

    def __init__(
        self,
        address: str = "",
        *,
        device: str = "",
        user: str = "",
        password: str = "",
        password_env: str = "",
        timeout: float = 1.8,
    ) -> None:
        self._host, self._port = split_host(address, PORT) if address else ("127.0.0.1", PORT)
        if timeout <= 0:
            raise SpecError("otii: timeout is above 0")
        self.name = f"otii@{address}" if address else "otii"
        self.identity = ""
        self._wanted, self._timeout = device, timeout
        self._user, self._password, self._password_env = user, password, password_env
        self._server: OtiiServer | None = None
        self._project: int | None = None
        self._recording: int | None = None
        self._started = False
        self._base: Timebase
        self._to: float | None = None

    def open(self) -> None:
        """Connect, find the device, and join or start a recording.

        Raises:
            SpecError: ``password_env`` names a variable that is not set.
            SourceMissing: no application, device or project; SourceForbidden: no log-in or licence.
            SourceTimeout, SourceError: as the message says.
        """
        self.close()
        password = secret(self._password, self._password_env, self.name)
        self._server = OtiiServer(self._host, self._port, name=self.name, timeout=self._timeout)
        try:
            self._server.open()
            if self._user:
                self._log_in(password)
            self.identity = self._choose()
            self._join()
        except SourceError:
            self.close()
            raise

    def read(self) -> Reading:
        """The recording's totals so far.

        Raises:
            SourceError: the application or the device is gone, or the recording was stopped.
        """
        where = {"recording_id": self._recording, "device_id": self.identity, "channel": _CHANNEL}
        info = self._ask("recording_get_channel_info", where)
        now_ns = time.monotonic_ns()
        start, end = number(info.get("from")), number(info.get("to"))
        if start is None or end is None or end <= start:
            raise SourceError(
                f"{self.name} has recorded nothing yet; it is asked again with the next reading"
            )
        if end == self._to:
            return Reading(fresh=False)
        sums = self._ask("recording_get_channel_statistics", {**where, "from": start, "to": end})
        joules = number(sums.get("energy"))
        if joules is None:
            raise SourceError(f"{self.name} gives no energy of the main current; Otii 3 or later is needed")
        self._to = end
        self._base.arrived(end, now_ns)
        return Reading(joules=joules, coulombs=number(sums.get("charge")), at_ns=self._base.at_ns(end))

    def close(self) -> None:
        """Stop the recording if it is ours, and hang up."""
        server, self._server = self._server, None
        started, self._started = self._started, False
        if server is None:
            return
        try:
            if started:
                with contextlib.suppress(SourceError):  # the application is gone, and the recording with it
                    server.ask("project_stop_recording", {"project_id": self._project})
        finally:
            server.close()

    def _ask(self, command: str, data: dict[str, Any], seconds: float = 0.0) -> dict[str, Any]:
        if self._server is None:
            raise not_open(self.name)
        return self._server.ask(command, data, seconds)

    def _log_in(self, password: str) -> None:
        self._ask("otii_login", {"username": self._user, "password": password}, 8.0)
        licences = _dicts(self._ask("otii_get_licenses", {}).get("licenses"))
        free = [x for x in licences if x.get("type") == "Automation" and x.get("available")]
        held = [x for x in licences if x.get("type") == "Automation" and x.get("reserved_to") == self._user]
        if not held and not free:
            raise SourceForbidden(
                f"{self.name}: no Automation licence is free; free one that another computer holds"
            )
        if not held:
            self._ask("otii_reserve_license", {"license_id": free[0]["id"]})

    def _choose(self) -> str:
        devices = _dicts(self._ask("otii_get_devices", {"timeout": 1}, 3.0).get("devices"))
        meters = [d for d in devices if d.get("type") in ("Arc", "Ace")]
        chosen = [d for d in meters if self._wanted in ("", d.get("device_id"), d.get("name"))]
        if len(chosen) == 1:
            return str(chosen[0]["device_id"])
        there = printable(", ".join(f"{d.get('name')} ({d.get('device_id')})" for d in meters)) or "none"
        raise SourceMissing(
            f"{self.name} cannot tell which device is meant; connected: {there}; give device="
        )

    def _join(self) -> None:
        self._base, self._to = Timebase(), None
        self._project = self._ask("otii_get_active_project", {}).get("project_id", -1)
        if self._project == -1:
            self._project = self._ask("otii_create_project", {}).get("project_id")
        self._recording = self._last_recording()
        if self._recording != -1 and self._ask("recording_is_running", {"recording_id": self._recording}).get(
            "running"
        ):
            return
        me = {"device_id": self.identity}
        self._ask("arc_add_to_project", me, 8.0)
        self._ask("arc_enable_channel", {**me, "channel": _CHANNEL, "enable": True})
        self._ask("project_start_recording", {"project_id": self._project})
        self._started = True
        self._recording = self._last_recording()
        if self._recording == -1:
            raise SourceError(f"{self.name} started no recording; try it in the application")

    def _last_recording(self) -> int:
        return int(
            self._ask("project_get_last_recording", {"project_id": self._project}).get("recording_id", -1)
        )


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
