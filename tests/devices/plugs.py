"""Emulated wall plugs, from public descriptions: Shelly RPC, Tasmota commands, Kasa's XOR protocol."""

import json
import socket
import struct
from typing import Any
from urllib.parse import parse_qs, urlsplit

from devices.tcp import Tcp
from devices.web import Said


class ShellyRpc:
    """Answers ``/rpc/Component.GetStatus?id=N`` as a Gen2+ device does.

    Args:
        status: ``"Switch:0"`` → the status object; sub-components likewise.
    """

    def __init__(
        self, status: dict[str, dict[str, Any]], device: str = "shellyplusplugs-d4d4da000001"
    ) -> None:
        self.status = status
        self.device = device

    def __call__(self, target: str, headers: dict[str, str]) -> Said:
        url = urlsplit(target)
        if url.path == "/rpc/Shelly.GetDeviceInfo":
            return Said(200, json.dumps({"id": self.device, "gen": 2, "auth_en": False}))
        method = url.path.removeprefix("/rpc/")
        component = method.removesuffix(".GetStatus")
        if component == method or not any(key.startswith(component + ":") for key in self.status):
            return Said(404, json.dumps({"code": 404, "message": f"No handler for {method}"}))
        number = parse_qs(url.query)["id"][0]
        found = self.status.get(f"{component}:{number}")
        if found is None:
            message = f"Argument 'id', value {number} not found!"
            return Said(500, json.dumps({"code": -105, "message": message}))
        return Said(200, json.dumps(found))


class TasmotaConsole:
    """Answers ``/cm?cmnd=…`` as the firmware does.

    Args:
        energy: the ENERGY object, or ``None`` for a device without a sensor.
        knows: which of Status 8 and Status 10 it answers.
    """

    def __init__(
        self,
        energy: dict[str, Any] | None,
        *,
        password: str = "",
        knows: tuple[str, ...] = ("8", "10"),
        old: bool = False,
    ) -> None:
        self.energy, self.password, self.knows, self.old = energy, password, knows, old

    def __call__(self, target: str, headers: dict[str, str]) -> Said:
        url = urlsplit(target)
        query = parse_qs(url.query, strict_parsing=True)
        if url.path != "/cm":
            return Said(404, "Not found")
        if self.password and (query.get("user"), query.get("password")) != (["admin"], [self.password]):
            return Said(
                200 if self.old else 401, json.dumps({"WARNING": "Need user=<username>&password=<password>"})
            )
        command, _, number = query["cmnd"][0].partition(" ")
        if command == "Status" and number in self.knows:
            sensors: dict[str, Any] = {"Time": "2023-10-09T09:21:49"}
            if self.energy is not None:
                sensors["ENERGY"] = self.energy
            return Said(200, json.dumps({"StatusSNS": sensors}))
        if command == "Status" and number == "5":
            return Said(200, json.dumps({"StatusNET": {"Hostname": "plug", "Mac": "5C:CF:7F:00:00:01"}}))
        return Said(200, json.dumps({"Command": "Unknown"}))


class KasaPlug(Tcp):
    """A TCP server of the old protocol: u32 length, then JSON, each byte XORed with the cipher byte before.

    Args:
        realtime: the emeter reply; with ``children``, by child id.
        idle_close: hang up after every answer, as some firmware does.
    """

    def __init__(
        self,
        realtime: dict[str, Any],
        *,
        children: tuple[str, ...] = (),
        idle_close: bool = False,
        raw: bytes | None = None,
        sysinfo: bool = True,
    ) -> None:
        self.realtime, self.children, self.idle_close, self.raw = realtime, children, idle_close, raw
        self.sysinfo = sysinfo
        self.asked: list[dict[str, Any]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        reply: dict[str, Any] = {}
        if "system" in request:
            assert request["system"] == {"get_sysinfo": {}}
            if self.sysinfo:
                children = [{"id": child} for child in self.children]
                info = {"deviceId": "8006AA", "mac": "50:C7:BF:00:00:01", "err_code": 0}
                reply["system"] = {"get_sysinfo": info | ({"children": children} if children else {})}
            else:
                reply["system"] = {"err_code": -1, "err_msg": "module not support"}
        if "emeter" in request:
            assert request["emeter"] == {"get_realtime": {}}
            chosen = request.get("context", {}).get("child_ids", [""])[0]
            reply["emeter"] = self.realtime[chosen] if self.children else self.realtime
        return reply

    def talk(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                (size,) = struct.unpack(">I", head)
                request = json.loads(_xor(stream.read(size), known_is_cipher=True))
                secret = _xor(json.dumps(self.answer(request)).encode(), known_is_cipher=False)
                framed = struct.pack(">I", len(secret)) + secret
                for part in (framed[:3], framed[3:10], framed[10:]) if self.raw is None else (self.raw,):
                    connection.sendall(part)
                if self.idle_close or self.raw is not None:
                    break


def _xor(data: bytes, *, known_is_cipher: bool) -> bytes:
    """softscheck.com/en/reverse-engineering-tp-link-hs110: autokey cipher, first key 171."""
    key, out = 171, []
    for byte in data:
        out.append(byte ^ key)
        key = byte if known_is_cipher else out[-1]
    return bytes(out)
