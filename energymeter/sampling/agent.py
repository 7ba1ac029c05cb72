"""The client of an agent on this machine: its ring, read through a read-only mapping of sealed memory.

The agent (``energymeter serve``) owns the meter and samples it. Whoever connects to its Unix socket is sent
the descriptor of that memory, and reads it like that of a sampling process of its own. Requests and answers
are JSON, one line each:

``{"open": "um25c"}``
    The name of a source, or ``""`` for the first one. The answer holds its channels, and the descriptor comes
    with it. While the connection lasts, the source is sampled.
``{"ask": true}``
    Take a sample as soon as there can be one, as at the end of a block.
``{"list": true}``
    The sources that the agent serves.
``{"add_spans": {…}, "source": "um25c", "protocol": 1}``
    Calls of spans that have ended, see `span_message`; the answer says how many may count. Only a program
    that was given ``agent?spans=yes`` sends this.
"""

from __future__ import annotations

import mmap
import os
import stat
import time

from energymeter import errors
from energymeter.errors import SamplerError, SourceForbidden, SourceMissing, SourceTimeout, SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple, suppress
from energymeter.reading import PLACES, SEMANTICS, Band, Facts
from energymeter.sampling.config import ChannelInfo, SourceConfig
from energymeter.sampling.descriptors import Descriptor
from energymeter.sampling.memory import HEAD_BYTES, LETTER_BYTES, Count, Head, State, channel_bytes
from energymeter.spec import Spec, flag
from energymeter.text import printable

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

DRIVER = "agent"
VARIABLE = "ENERGYMETER_AGENT"
"""The variable that names another socket than the usual one."""
PROTOCOL = 1
"""The layout of the memory and the words of the requests; both ends must have the same."""
SPANS = "spans"
"""The option with which a program has its spans shown."""
LONGEST_REQUEST = 1024
LONGEST_ANSWER = 1 << 20
OPEN_SECONDS = 20.0
"""The agent gives a source up that has not opened after 15 s."""
ANSWER_SECONDS = 2.0
_MOST_CHANNELS = 1024
_LONGEST_TEXT = 1024
_MOST = 1e12
_SYSTEM = "/run/energymeter/agent.sock"


class Address(NamedTuple):
    """Where an agent is, and which of its sources is meant."""

    host: str
    """Empty: this machine."""
    port: int
    source: str
    """Empty: the first one."""

    @classmethod
    def of(cls, text: str) -> Address:
        """Take ``um25c`` (on this machine) or ``laptop:9736/um25c`` apart.

        >>> Address.of("laptop:9736/um25c"), Address.of("um25c").source, Address.of("[::1]:80").host
        (Address(host='laptop', port=9736, source='um25c'), 'um25c', '::1')

        Raises:
            SpecError: it is neither.
        """
        place, _, source = text.partition("/")
        host, colon, port = place.rpartition(":")
        if not colon:
            if "/" in text:
                raise SpecError(f"the agent at {place!r} has no port; write agent@{place}:9736/{source}")
            return cls("", 0, text)
        host = host.removeprefix("[").removesuffix("]")
        if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise SpecError(f"{place!r} is no address of an agent; write it as in agent@laptop:9736/um25c")
        return cls(host, int(port), source)


def socket_paths() -> list[str]:
    """Where an agent of this machine may listen: this user's first, then the system's."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return [named]
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return [*([os.path.join(own, "energymeter", "agent.sock")] if os.path.isabs(own) else []), _SYSTEM]


def found() -> str | None:
    """The socket of the agent that runs on this machine, if there is one."""
    return next((path for path in socket_paths() if _is_socket(path)), None)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)  # a link could lead anywhere
    except OSError:
        return False


def local_source(configs: Sequence[SourceConfig]) -> str | None:
    """The name of the source, where these are nothing but one source of an agent on this machine."""
    if len(configs) != 1 or not isinstance(configs[0].source, Spec):
        return None
    spec = configs[0].source
    if spec.driver != DRIVER or set(spec.options) - {SPANS}:
        return None
    _wants_spans(spec)
    address = Address.of(spec.address or "")
    return None if address.host else address.source


class SpanReceiver(NamedTuple):
    """An agent that is to get the spans of a block."""

    address: Address
    pin: str = ""
    """The SHA-256 of its certificate."""


def span_receivers(configs: Sequence[SourceConfig]) -> list[SpanReceiver]:
    """The agents among these sources that were asked to show the spans, as by ``agent?spans=yes``.

    Raises:
        SpecError: the option is neither yes nor no.
    """
    receivers = []
    for config in configs:
        spec = config.source
        if not isinstance(spec, Spec):
            receiver = getattr(spec, "span_receiver", None)
        elif spec.driver == DRIVER and _wants_spans(spec):
            receiver = SpanReceiver(Address.of(spec.address or ""), spec.options.get("pin", ""))
        else:
            continue
        if isinstance(receiver, SpanReceiver):
            receivers.append(receiver)
    return receivers


def _wants_spans(spec: Spec) -> bool:
    return flag(DRIVER, SPANS, spec.options.get(SPANS, "no"))


class Connection:
    """A connection to the agent of this machine.

    Raises:
        SourceMissing: no agent runs here.
        SourceForbidden: this user may not connect, or it is an agent of a user who is not trusted.
    """

    def __init__(self, path: str | None = None) -> None:
        path = path or found()
        if path is None or not _is_socket(path):
            raise SourceMissing(
                f"no agent runs on this machine (looked for {' and '.join(socket_paths())}); start it with "
                "`energymeter serve`"
            )
        import socket

        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(ANSWER_SECONDS)
            try:
                link.connect(path)
            except PermissionError as failure:
                raise SourceForbidden(
                    f"this user may not use the agent at {path}; join the group of that socket"
                ) from failure
            except OSError as failure:
                raise SourceMissing(
                    f"the agent at {path} does not answer ({failure.strerror}); start it with "
                    "`energymeter serve`"
                ) from failure
            _check_owner(path, link)
            link.settimeout(None)
            self._fd = Descriptor(link.detach())

    def request(self, message: dict[str, Any], seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """What the agent answers.

        Raises:
            EnergyMeterError: what it reported.
            SourceMissing: it has gone.
            SourceTimeout: it does not answer in time.
        """
        return self._exchange(message, seconds)[0]

    def open(self, name: str) -> tuple[dict[str, Any], Descriptor]:
        """Listen to a source; the memory of its samples, and what it holds.

        Raises:
            EnergyMeterError: why it cannot be opened.
        """
        answer, descriptors = self._exchange({"open": name, "protocol": PROTOCOL}, OPEN_SECONDS)
        if len(descriptors) != 1:
            for descriptor in descriptors:
                descriptor.close()
            raise SamplerError("the agent sent no memory of samples; install the same version on both sides")
        return answer, descriptors[0]

    def _exchange(self, message: dict[str, Any], seconds: float) -> tuple[dict[str, Any], list[Descriptor]]:
        import json
        import select
        import socket

        if not self._fd.ours():
            raise SourceMissing("the connection to the agent is closed; enter the meter again")
        link = socket.socket(fileno=os.dup(self._fd.fd))
        descriptors: list[Descriptor] = []
        received = b""
        give_up = time.monotonic() + seconds
        try:
            with suppress(BrokenPipeError):  # it has refused us, and said why
                link.sendall(json.dumps(message).encode() + b"\n")
            poll = select.poll()
            poll.register(link, select.POLLIN)
            while not received.endswith(b"\n"):
                if not poll.poll(max(0.0, give_up - time.monotonic()) * 1e3):
                    raise SourceTimeout(
                        f"the agent has not answered within {seconds:g} s; check what it is busy with"
                    )
                piece, numbers, _, _ = socket.recv_fds(link, 65_536, 4)
                descriptors += [Descriptor(number) for number in numbers]
                received += piece
                if not piece or len(received) > LONGEST_ANSWER:
                    raise SourceMissing("the agent has closed the connection; look for the reason in its log")
            answer = json.loads(received)
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except (OSError, ValueError) as failure:
            for descriptor in descriptors:
                descriptor.close()
            if isinstance(failure, errors.EnergyMeterError):
                raise
            if isinstance(failure, OSError):
                raise SourceMissing(
                    f"the agent has closed the connection ({failure.strerror}); look for the reason in its "
                    "log"
                ) from failure
            raise SamplerError(
                f"the agent cannot be understood ({failure}); install the same version on both sides"
            ) from failure
        finally:
            link.close()
        if "error" in answer:
            for descriptor in descriptors:
                descriptor.close()
            raise _reported(answer)
        return answer, descriptors

    def alive(self) -> bool:
        """Whether the agent still holds the other end."""
        if not self._fd.ours():
            return False
        import select

        poll = select.poll()
        poll.register(self._fd.fd, select.POLLIN)
        return not poll.poll(0)  # it says nothing unasked: what is readable is the end

    def close(self) -> None:
        """Twice is fine."""
        self._fd.close()


def _check_owner(path: str, link: socket.socket) -> None:
    """Refuse an agent of another user, unless root has made the folder of its socket."""
    import socket
    import struct

    if not hasattr(socket, "SO_PEERCRED"):
        return
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    owner = struct.unpack("3i", raw)[1]
    folder = os.stat(os.path.dirname(path) or ".")
    writable = stat.S_IMODE(folder.st_mode) & 0o022 and not folder.st_mode & stat.S_ISVTX
    trusted = owner in (0, os.geteuid()) or (folder.st_uid in (0, owner) and path == _SYSTEM and not writable)
    if not trusted:
        raise SourceForbidden(
            f"the agent at {path} belongs to another user; unset ${VARIABLE}, or use the system's agent"
        )


def _reported(answer: dict[str, Any]) -> errors.EnergyMeterError:
    """The error that the agent named, as if it had been raised here."""
    kind = getattr(errors, str(answer["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.EnergyMeterError)):
        kind = errors.SourceError
    error: errors.EnergyMeterError = kind.__new__(kind)
    error.args = (printable(str(answer.get("message", ""))),)
    return error


class AgentHost:
    """The ring of an agent's source, in place of a sampling process."""

    pid = None

    def __init__(self) -> None:
        self.memory = memoryview(b"")
        self._connection: Connection | None = None

    def start(self, config: SourceConfig, name: str) -> list[ChannelInfo]:
        """Connect, and map the memory of the samples.

        Args:
            config: what was asked for.
            name: of the agent's source; empty: the first.

        Raises:
            EnergyMeterError: why it cannot be used.
        """
        self._connection = Connection()
        try:
            answer, descriptor = self._connection.open(name)
            try:
                infos = channels_of(answer)
                self.memory = mapped(descriptor, infos)
            finally:
                descriptor.close()
            slowest = min(info.rate_hz for info in infos)
            if config.rate_hz is not None and config.rate_hz > slowest * (1 + 1e-9):
                raise SpecError(
                    f"the agent reads {infos[0].name} at {slowest:g} Hz, not at {config.rate_hz:g} Hz; set "
                    "the rate where the agent runs"
                )
        except BaseException:
            self.stop()
            raise
        return infos

    def ask(self) -> int:
        """Ask for a sample.

        Returns:
            the number of the question; 0: the agent has gone.
        """
        if self._connection is None:
            return 0
        try:
            asked = self._connection.request({"ask": True}).get("asked", 0)
        except (errors.SourceError, OSError):
            return 0
        return asked if isinstance(asked, int) else 0

    def alive(self) -> bool:
        """Whether the agent samples for us."""
        return self._connection is not None and self._connection.alive()

    def cancel(self) -> None:
        """There is nothing to cut short."""

    def stop(self, *, discard_log: bool = False) -> None:
        """Let go of the source; the mapping stays, for what is still asked of it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def copied(self, infos: Sequence[ChannelInfo]) -> bytearray:
        """All samples in memory of our own, with which another sampler can go on."""
        for _ in range(_TRIES):  # until no history was thinned meanwhile
            generations = [info.memory_in(self.memory).counts[Count.GENERATION] for info in infos]
            copy = bytearray(self.memory)
            after = [info.memory_in(self.memory).counts[Count.GENERATION] for info in infos]
            if generations == after and not any(generation % 2 for generation in generations):
                break
        own = memoryview(copy)
        head = Head(own)
        stopped = bool(head.counts[Count.STOP])
        for count in (Count.STOP, Count.READY_UNTIL_NS):
            head.counts[count] = 0
        for info in infos:
            counts = info.memory_in(own).counts
            if stopped and counts[Count.STATE] == State.ENDED:  # by the agent, not by its source
                counts[Count.STATE] = State.RETRYING
        return copy


_TRIES = 20


def channels_of(answer: dict[str, Any]) -> list[ChannelInfo]:
    """The channels that an agent describes.

    Raises:
        SamplerError: it speaks of what is not known here.
    """
    try:
        if answer["protocol"] != PROTOCOL:
            raise ValueError("it has another protocol")
        infos = [_checked(ChannelInfo.from_json(channel)) for channel in answer["channels"]]
        if not 0 < len(infos) <= _MOST_CHANNELS:
            raise ValueError("it has no channels, or too many")
    except (AttributeError, KeyError, TypeError, ValueError) as failure:
        raise SamplerError(
            f"the agent cannot be understood ({printable(str(failure))}); install the same version on both "
            "sides"
        ) from failure
    return [
        # a card was applied where the meter is read: neither again, nor another one
        info._replace(calibrated=False, notes=(*info.notes, *_notes(info)))
        for info in infos
    ]


def _checked(info: ChannelInfo) -> ChannelInfo:
    """The channel, if all that is said of it is of the kind that it should be; its texts without escapes.

    Raises:
        ValueError: it is not.
    """
    facts, usual = info.facts, Facts()
    if not (
        all(_is_like(value, default) for value, default in zip(facts, usual, strict=True))
        and facts.semantics in SEMANTICS
        and facts.place in PLACES
        and all(_is_like(value, "") for value in (info.name, info.identity, info.correction, *info.notes))
        and all(_is_like(value, False) for value in (info.calibrated, info.rewinds, info.shared))
        and all(type(value) is int and 0 <= value < 1 << 40 for value in info[4:6])
        and type(info.source_index) is int
        and _is_like(info.rate_hz, 0.0)
        and info.rate_hz > 0
    ):
        raise ValueError("a channel is described by what makes no sense")
    return info._replace(
        name=printable(info.name),
        identity=printable(info.identity),
        notes=tuple(printable(note) for note in info.notes),
    )


def _is_like(value: object, default: object) -> bool:
    """Whether a fact is of the kind of its default: a flag, a text, or finite and no less than 0."""
    if isinstance(default, (bool, str)):
        return isinstance(value, type(default)) and len(str(value)) <= _LONGEST_TEXT
    if default is None and value is None:
        return True
    numbers: Sequence[Any] = value if isinstance(value, Band) else (value,)
    return all(type(number) in (int, float) and 0 <= number <= _MOST for number in numbers)


def _notes(info: ChannelInfo) -> tuple[str, ...]:
    return (f"the agent applied its calibration card of {info.identity}",) if info.calibrated else ()


def mapped(descriptor: Descriptor, infos: Sequence[ChannelInfo]) -> memoryview:
    """The memory of the samples, for reading.

    Raises:
        SamplerError: it is smaller than its channels.
    """
    size = os.fstat(descriptor.fd).st_size
    needed = HEAD_BYTES + LETTER_BYTES + sum(channel_bytes(info.capacity) for info in infos)
    ends = [info.offset + channel_bytes(info.capacity) for info in infos]
    fits = all(info.capacity > 0 and info.offset >= HEAD_BYTES for info in infos)
    if size != needed or not fits or max(ends) > size:
        raise SamplerError("the agent's memory has another layout; install the same version on both sides")
    return memoryview(mmap.mmap(descriptor.fd, size, access=mmap.ACCESS_READ))
