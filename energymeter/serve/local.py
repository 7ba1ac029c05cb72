"""The agent's Unix socket: it hands out read-only descriptors of the rings, and takes no other orders.

The words are those of `energymeter.sampling.agent`. One thread serves all clients and waits for none of them.
"""

import contextlib
import grp
import json
import os
import pwd
import queue
import selectors
import socket
import stat
import struct
import threading
import time
from typing import Any

from energymeter.errors import EnergyMeterError, SamplerError, SourceForbidden, SpecError
from energymeter.sampling.agent import LONGEST_REQUEST, PROTOCOL
from energymeter.sampling.descriptors import Descriptor, write_sealed
from energymeter.sampling.span_message import SPANS_BYTES
from energymeter.serve.agent import Agent, Listener, Ring, ServedSource, log
from energymeter.serve.rejections import Rejections

MOST_CLIENTS = 256
MOST_OF_ONE_USER = 200
IDLE_SECONDS = 10.0
"""A client that has opened nothing by then is closed."""
MOST_ASKED_HZ = 50.0
"""A sample that a client asks for more often than this is the one that comes anyway."""
_SO_PEERGROUPS = 59
_MOST_GROUPS = 65_536
_LOOK_SECONDS = 1.0
_ADD_SPANS = b'{"add_spans"'
"""So begins the one request that may be longer."""


class Peer:
    """Who connects, as the kernel says."""

    def __init__(self, link: socket.socket) -> None:
        raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, self.uid, self.gid = struct.unpack("3i", raw)
        self._link = link

    def is_member(self, group: int) -> bool:
        """Whether it runs with the rights of a group."""
        if self.gid == group:
            return True
        with contextlib.suppress(OSError):  # Linux 4.13
            raw = self._link.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * 1024)
            return group in struct.unpack(f"{len(raw) // 4}I", raw)
        try:
            return pwd.getpwuid(self.uid).pw_name in grp.getgrgid(group).gr_mem
        except KeyError:
            return False


class _Client:
    """One connection."""

    def __init__(self, link: socket.socket, uid: int) -> None:
        self.link, self.uid = link, uid
        self.received = b""
        self.listener: Listener | None = None
        self.source: ServedSource | None = None
        self.since = time.monotonic()
        self.asked_at, self.asked = 0.0, 0
        self.opening = False

    def close(self) -> None:
        self.link.close()
        if self.listener is not None:
            self.listener.close()


class LocalServer:
    """Serves an agent at a Unix socket.

    Args:
        agent: whose sources.
        listening: the socket, which listens; closed by `close`.
        group: the number of the group whose members may connect, next to this user and root.
        path: what is removed at the end.
    """

    def __init__(
        self, agent: Agent, listening: socket.socket, group: int | None = None, path: str = ""
    ) -> None:
        self._agent, self._listening, self._group = agent, listening, group
        self._path = path
        self._rejections = Rejections()
        self._clients: set[_Client] = set()
        self._done: queue.SimpleQueue[tuple[_Client | None, Any]] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        os.set_blocking(self._wake_reader, False)
        self._ending = False
        listening.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        agent.on_lost(self._lost)
        self._thread = threading.Thread(target=self._run, name="energymeter-local", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of all clients. Twice is fine."""
        if not self._ending:
            self._ending = True
            self._wake()
            self._thread.join()
            with contextlib.suppress(OSError):  # systemd's stays
                os.unlink(self._path)
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_writer, b"!")

    def _lost(self, source: ServedSource) -> None:
        self._done.put((None, source))
        self._wake()

    def _run(self) -> None:
        try:
            while not self._ending:
                for key, _ in self._selector.select(_LOOK_SECONDS):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif key.data is not None:
                        self._read(key.data)
                    else:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_reader, 4096)
                self._finish_openings()
                self._close_idle()
        finally:
            for client in [*self._clients]:
                self._drop(client)
            self._selector.close()
            self._listening.close()

    def _accept(self) -> None:
        try:
            link, _ = self._listening.accept()
        except OSError as failure:  # it has gone, or there are no descriptors left
            self._rejections.note("accept", f"a client could not be accepted: {failure.strerror}")
            time.sleep(0.01)
            return
        link.setblocking(False)
        try:
            peer = Peer(link)
            why = self._refused(peer)
        except OSError:
            link.close()
            return
        client = _Client(link, peer.uid)
        if why:
            self._rejections.note(f"uid {peer.uid}", f"user {peer.uid} is refused: {why}")
            self._say(
                client, _error(SourceForbidden(f"the agent refuses this user ({why}); ask whoever runs it"))
            )
            link.close()
            return
        self._clients.add(client)
        self._selector.register(link, selectors.EVENT_READ, client)

    def _refused(self, peer: Peer) -> str:
        if len(self._clients) >= MOST_CLIENTS:
            return f"{MOST_CLIENTS} clients are connected; close some"
        if sum(client.uid == peer.uid for client in self._clients) >= MOST_OF_ONE_USER:
            return f"{MOST_OF_ONE_USER} of its clients are connected; close some"
        if peer.uid in (0, os.geteuid()) or (self._group is not None and peer.is_member(self._group)):
            return ""
        return "it is not of the agent's group; join it"

    def _read(self, client: _Client) -> None:
        try:
            piece = client.link.recv(LONGEST_REQUEST + 1)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        client.received += piece
        longest = SPANS_BYTES if client.received.startswith(_ADD_SPANS) else LONGEST_REQUEST
        line, newline, rest = client.received.partition(b"\n")
        if not piece:
            self._drop(client)
        elif len(client.received) > longest or (newline and rest) or (newline and client.opening):
            self._refuse(client, "its request is too long, or it did not wait for an answer")
        elif newline:
            client.received = b""
            self._answer(client, line)

    def _answer(self, client: _Client, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        match request:
            case {"open": str(name), "protocol": protocol, **rest} if not rest:
                if protocol != PROTOCOL:
                    self._refuse(client, "it speaks another protocol; install the same version on both sides")
                elif client.source is not None:
                    self._refuse(client, "it has opened a source already")
                else:
                    self._open(client, name)
            case {"ask": True, **rest} if not rest:
                self._say(client, {"asked": self._asked(client)})
            case {"add_spans": dict(message), "source": str(name), "protocol": int(protocol), **rest} if (
                protocol == PROTOCOL and not rest
            ):
                client.since = time.monotonic()
                try:
                    self._say(client, {"taken": self._agent.add_spans(name, message)})
                except EnergyMeterError as failure:
                    self._say(client, _error(failure))
            case {"list": True, **rest} if not rest:
                sources = [
                    {"name": source.name, "title": source.title, "state": source.state}
                    for source in self._agent.sources()
                ]
                self._say(client, {"sources": sources, "protocol": PROTOCOL})
            case _:
                self._refuse(client, "its request is not known")

    def _asked(self, client: _Client) -> int:
        now = time.monotonic()
        if client.source is not None and now >= client.asked_at + 1 / MOST_ASKED_HZ:
            client.asked_at, client.asked = now, client.source.ask()
        return client.asked

    def _open(self, client: _Client, name: str) -> None:
        try:
            source = self._agent.source(name)
        except EnergyMeterError as failure:
            self._say(client, _error(failure))
            return
        client.source, client.listener = source, Listener([source])
        ring = source.ring()
        if ring is not None:
            self._opened(client, ring)
            return
        client.opening = True

        def work() -> None:
            try:
                self._done.put((client, source.opened()))
            except EnergyMeterError as failure:
                self._done.put((client, failure))
            self._wake()

        threading.Thread(target=work, name="energymeter-opening", daemon=True).start()

    def _finish_openings(self) -> None:
        while not self._done.empty():
            client, outcome = self._done.get()
            if client is None:
                for reader in [*self._clients]:
                    if reader.source is outcome and not reader.opening:
                        self._drop(reader)  # it connects again, and maps the new ring
            elif client in self._clients:
                client.opening = False
                self._opened(client, outcome)
            elif isinstance(outcome, Ring):
                outcome.descriptor.close()

    def _opened(self, client: _Client, outcome: Ring | EnergyMeterError) -> None:
        if isinstance(outcome, EnergyMeterError):
            if client.listener is not None:
                client.listener.close()
            client.listener = client.source = None
            client.since = time.monotonic()
            self._say(client, _error(outcome))
            return
        if not may_map(client.uid, os.geteuid(), write_sealed(outcome.descriptor)):
            outcome.descriptor.close()
            why = "this kernel cannot seal the memory of the samples (Linux 5.1 can)"
            self._opened(client, SamplerError(f"{why}; run the agent as another user"))
            return
        infos = [channel.info.to_json() for channel in outcome.channels]
        name = client.source.name if client.source is not None else ""
        answer = {"protocol": PROTOCOL, "source": name, "began": outcome.began_ns, "channels": infos}
        self._say(client, answer, outcome.descriptor)
        outcome.descriptor.close()

    def _say(self, client: _Client, answer: dict[str, Any], descriptor: Descriptor | None = None) -> None:
        raw = json.dumps(answer).encode() + b"\n"
        try:
            if descriptor is None:
                sent = client.link.send(raw)
            else:
                sent = socket.send_fds(client.link, [raw], [descriptor.fd])
        except OSError:
            sent = -1
        if sent < len(raw):  # it does not read what it asked for
            if client in self._clients:
                self._rejections.note(
                    f"slow {client.uid}", f"a client of user {client.uid} does not read its answers"
                )
            self._drop(client)

    def _refuse(self, client: _Client, why: str) -> None:
        self._rejections.note(
            f"request {client.uid} {why}", f"a client of user {client.uid} is refused: {why}"
        )
        self._say(client, _error(SpecError(f"the agent refuses the request ({why}); check what sent it")))
        self._drop(client)

    def _close_idle(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for client in [*self._clients]:
            if client.source is None and client.since < oldest:
                self._rejections.note(
                    f"idle {client.uid}", f"a client of user {client.uid} asked for nothing"
                )
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._selector.unregister(client.link)
            client.close()


def may_map(uid: int, own_uid: int, sealed: bool) -> bool:
    """Whether a user who gets the read-only descriptor of a ring can only read it.

    Without the seal, its owner could open it again to write. Root could do as much in any other way.
    """
    return sealed or uid != own_uid or uid == 0


def _error(failure: EnergyMeterError) -> dict[str, Any]:
    return {"error": type(failure).__name__, "message": str(failure)}


def group_number(name: str | None) -> int | None:
    """A group by its name.

    Raises:
        SpecError: there is none.
    """
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SpecError(f"there is no group {name!r}; make it with `groupadd --system {name}`") from None


def bound(path: str, group: int | None) -> socket.socket:
    """A Unix socket that listens, for this user, and for a group if there is one.

    The process has no other threads yet: its group and its mask of permissions are others for a moment.

    Args:
        path: where. What an agent has left there that has ended is replaced; nothing else is.
        group: the number of the group.

    Raises:
        SpecError: something else is there, or another agent.
        SourceForbidden: this user may not make it.
    """
    folder = os.path.dirname(path) or "."
    try:
        os.makedirs(folder, mode=0o755 if group is not None else 0o700, exist_ok=True)
        _make_way(path)
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask, own_group = os.umask(0o177 if group is None else 0o117), os.getegid()
        try:
            if group is not None:
                os.setegid(group)  # the socket is made with the rights that it keeps
            link.bind(path)
        finally:
            os.setegid(own_group)
            os.umask(mask)
        link.listen()
    except OSError as failure:
        raise SourceForbidden(
            f"no socket can be made at {path} ({failure.strerror}); name another with --socket"
        ) from failure
    return link


def _make_way(path: str) -> None:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode) or there.st_uid != os.geteuid():
        raise SpecError(
            f"{path} is there and is no socket of this user; remove it, or name another with --socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            log.info("the socket of an agent that has ended is replaced")
            os.unlink(path)
            return
        except OSError:
            pass
    raise SpecError(f"an agent listens at {path} already; end it, or name another socket with --socket")


def inherited(name: str | None = None) -> list[socket.socket]:
    """The sockets that systemd has opened for this process (sd_listen_fds(3)).

    Args:
        name: only those whose ``FileDescriptorName`` it is.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "0")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    total = int(count) if count.isascii() and count.isdigit() else 0
    links = []
    for place, number in enumerate(range(3, 3 + min(total, 8))):
        if name is None or (place < len(names) and names[place] == name):
            os.set_inheritable(number, False)
            links.append(socket.socket(fileno=number))
    return links
