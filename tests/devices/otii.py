"""An emulated Otii 3 application: its TCP server, as otii-tcp-client (MIT) documents it."""

import json
import socket
from typing import Any

from devices.tcp import Tcp

ARC = {"device_id": "Arc5002", "name": "My Arc", "type": "Arc"}


class OtiiApp(Tcp):
    """Strict: unknown commands, missing keys and a wrong order are answered with the server's errors.

    Args:
        devices: what is plugged in.
        logged_in: whether the application is, with a licence.
        project: whether one is open.
        watts, volts: what the device measures; time runs ``step`` seconds at every question for it.
    """

    def __init__(
        self,
        devices: tuple[dict[str, str], ...] = (ARC,),
        *,
        logged_in: bool = True,
        project: bool = True,
        recording: bool = False,
        watts: float = 0.37,
        volts: float = 3.7,
        chatty: bool = False,
    ) -> None:
        self.devices, self.licensed, self.project = devices, logged_in, 1 if project else -1
        self.watts, self.volts, self.chatty = watts, volts, chatty
        self.recording = 7 if recording else -1
        self.running = recording
        self.seconds, self.step = 0.0, 0.5
        self.enabled = recording
        self.added: set[str] = {d["device_id"] for d in devices} if recording else set()
        self.commands: list[str] = []

    def talk(self, connection: socket.socket) -> None:
        def say(message: dict[str, Any]) -> None:
            connection.sendall(json.dumps(message).encode() + b"\r\n")

        server = {"otii_version": "3.5.5", "protocol_version": "0.1", "server": "otii-server"}
        say({"type": "information", "info": "connected", "data": server})
        with connection.makefile("rb") as lines:
            for line in lines:
                assert line.endswith(b"\r\n")
                if self.chatty:
                    say({"type": "progress", "cmd": "x", "trans_id": "0", "progress_value": 0.5})
                say(self.answer(json.loads(line)))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        assert request["type"] == "request"
        command, data = request["cmd"], request.get("data", {})
        self.commands.append(command)
        about = {"cmd": command, "trans_id": request["trans_id"]}
        try:
            result = getattr(self, command)(data)
        except AttributeError:
            return {"type": "error", "errorcode": "Invalid command", **about}
        except KeyError as missing:
            return {
                "type": "error",
                "errorcode": "Missing key in request",
                "data": {"key": missing.args[0]},
                **about,
            }
        except PermissionError as rejection:
            return {"type": "error", "errorcode": str(rejection), **about}
        return {"type": "response", "data": result, **about}

    def _need_licence(self) -> None:
        if not self.licensed:
            raise PermissionError("Not logged in")

    def otii_login(self, data: dict[str, Any]) -> dict[str, Any]:
        if (data["username"], data["password"]) != ("me", "s3cret"):
            raise PermissionError("Could not login")
        return {}

    def otii_get_licenses(self, data: dict[str, Any]) -> dict[str, Any]:
        licence = {
            "id": 1234,
            "type": "Automation",
            "available": not self.licensed,
            "reserved_to": "",
            "hostname": "",
        }
        return {"licenses": [{"id": 1, "type": "Battery", "available": True, "reserved_to": ""}, licence]}

    def otii_reserve_license(self, data: dict[str, Any]) -> dict[str, Any]:
        assert data["license_id"] == 1234
        self.licensed = True
        return {}

    def otii_get_devices(self, data: dict[str, Any]) -> dict[str, Any]:
        self._need_licence()
        assert data["timeout"] >= 0
        return {"devices": list(self.devices)} if self.devices else {}

    def otii_get_active_project(self, data: dict[str, Any]) -> dict[str, Any]:
        self._need_licence()
        return {"project_id": self.project}

    def otii_create_project(self, data: dict[str, Any]) -> dict[str, Any]:
        self.project = 2
        return {"project_id": 2}

    def arc_add_to_project(self, data: dict[str, Any]) -> dict[str, Any]:
        self.added.add(data["device_id"])
        return {}

    def arc_enable_channel(self, data: dict[str, Any]) -> dict[str, Any]:
        assert data["device_id"] in self.added
        self.enabled = data["channel"] == "mc" and data["enable"]
        return {}

    def project_start_recording(self, data: dict[str, Any]) -> dict[str, Any]:
        assert data["project_id"] == self.project
        assert self.enabled
        self.recording, self.running, self.seconds = self.recording + 10, True, 0.0
        return {}

    def project_stop_recording(self, data: dict[str, Any]) -> dict[str, Any]:
        assert data["project_id"] == self.project
        self.running = False
        return {}

    def project_get_last_recording(self, data: dict[str, Any]) -> dict[str, Any]:
        assert data["project_id"] == self.project
        return {"recording_id": self.recording, "name": "Recording"}

    def recording_is_running(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"running": self.running and data["recording_id"] == self.recording}

    def recording_get_channel_info(self, data: dict[str, Any]) -> dict[str, Any]:
        self._need_channel(data)
        self.seconds += self.step
        return {"offset": 0.0, "from": 0.0, "to": self.seconds, "sample_rate": 4000}

    def recording_get_channel_statistics(self, data: dict[str, Any]) -> dict[str, Any]:
        self._need_channel(data)
        span, amps = data["to"] - data["from"], self.watts / self.volts
        return {"min": 0.0, "max": amps, "average": amps, "energy": self.watts * span, "charge": amps * span}

    def _need_channel(self, data: dict[str, Any]) -> None:
        assert data["recording_id"] == self.recording
        assert data["channel"] == "mc"
        if data["device_id"] not in {d["device_id"] for d in self.devices}:
            raise PermissionError("Device not connected")
