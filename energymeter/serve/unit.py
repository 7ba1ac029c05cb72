"""The systemd units of an agent: a socket that starts it, and a service that may do little."""

import shlex
import sys
from collections.abc import Sequence

from energymeter.errors import SpecError

_SOCKET = """\
# energymeter.socket
[Unit]
Description=Readers of the energymeter agent

[Socket]
ListenStream={path}
SocketMode={mode}
{group}RemoveOnStop=yes

[Install]
WantedBy=sockets.target

"""
_SERVICE = """\
# energymeter.service
[Unit]
Description=energymeter agent
Requires=energymeter.socket

[Service]
ExecStart={command}
StateDirectory=energymeter
Restart=on-failure
NoNewPrivileges=yes
ProtectSystem=strict
{home}{writable}PrivateTmp=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_BLUETOOTH
RestrictNamespaces=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy={target}
Also=energymeter.socket
"""


def units(arguments: Sequence[str], group: str | None, user: bool, writable: Sequence[str] = ()) -> str:
    """The text of both units.

    Args:
        arguments: what follows ``energymeter serve``.
        group: whose members may connect to the system's agent.
        user: for ``systemctl --user``.
        writable: folders that the service may write, which have to exist when it starts.

    Raises:
        SpecError: an argument would end its line.
    """
    if any(sign in argument for argument in (*arguments, group or "", *writable) for sign in "\n\r\0"):
        raise SpecError("a unit holds each argument on one line; leave out the line breaks")
    words = [sys.executable, "-m", "energymeter", "serve", *arguments]
    # systemd expands % and $ by itself (systemd.service(5), COMMAND LINES)
    command = " ".join(shlex.quote(word).replace("%", "%%").replace("$", "$$") for word in words)
    path = "%t/energymeter/agent.sock" if user else "/run/energymeter/agent.sock"
    shared = group is not None and not user
    return _SOCKET.format(
        path=path, mode="0660" if shared else "0600", group=f"SocketGroup={group}\n" if shared else ""
    ) + _SERVICE.format(
        command=command,
        writable="".join(f"ReadWritePaths={_path(folder)}\n" for folder in writable),
        home="" if user else "ProtectHome=read-only\n",
        target="default.target" if user else "multi-user.target",
    )


def _path(path: str) -> str:
    """A path as one word of a unit (systemd.syntax(7), QUOTING; % stands for itself when doubled)."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{quoted}"'
