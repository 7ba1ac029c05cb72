"""One GET of a JSON document with the standard library: a deadline, no redirects, no secrets in errors."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from typing import IO, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from energymeter.errors import GridError, SpecError

_Answer = TypeVar("_Answer")
MOST_BYTES = 8 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would send the token to any host that a redirect names."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def check_url(url: str) -> str:
    """The address of a service, without a final slash.

    Raises:
        SpecError: neither https nor this machine; a token would be readable on the way.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    ):
        return url.rstrip("/")
    raise SpecError(
        f"url={url} is neither https:// nor on this machine, so others could read a token: give https"
    )


def get_json(
    label: str,
    base: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    timeout_seconds: float,
    retry_after: Callable[[float], None],
) -> Any:
    """The parsed answer.

    Args:
        label: the service's name for messages, which repeat nothing of the request or the answer.
        timeout_seconds: for the whole answer, not for each packet of it.
        retry_after: called with the seconds that the service asks to wait.

    Raises:
        GridError: no answer in time, an error status, or something that is not JSON.
    """
    url = f"{base}{path}" + (f"?{urlencode(query)}" if query else "")
    request = urllib.request.Request(url, headers={**headers, "Accept": "application/json"})
    late = GridError(f"{label} did not answer within {timeout_seconds:g} s: try again or give a fallback")
    try:
        status, wait, body = _within(timeout_seconds, lambda: _answer(request, timeout_seconds))
        if status is not None:
            if wait is not None:
                retry_after(wait)
            raise GridError(_status_text(label, status, wait))
        return json.loads(body)
    except TimeoutError:
        raise late from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise late from None
        raise GridError(
            f"{label} cannot be reached ({error.reason}): check the network or give a fallback"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise GridError(f"{label} broke off its answer ({type(error).__name__}): try again later") from None
    except (ValueError, RecursionError):
        raise GridError(f"{label} answered with something that is not JSON: check url=") from None


def _within(seconds: float, job: Callable[[], _Answer]) -> _Answer:
    """The result of a job that takes at most so long.

    The job runs in a thread, because a socket's timeout is that of one packet: a slow name server, or a
    server that sends its header byte by byte, would hold the caller for as long as it likes.

    Raises:
        TimeoutError: it has not ended. Its thread ends with the connection, or with the program.
        Exception: the job's own.
    """
    results: list[_Answer | Exception] = []

    def run() -> None:
        try:
            results.append(job())
        except Exception as error:  # noqa: BLE001 - raised again by the caller's thread
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise TimeoutError
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _answer(request: urllib.request.Request, seconds: float) -> tuple[int | None, float | None, bytes]:
    """(error status, seconds to wait, body) of a request."""
    deadline = time.monotonic() + seconds
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as answer:
            return None, None, _read(answer, deadline)
    except urllib.error.HTTPError as error:
        with error:
            asked = error.headers.get("Retry-After") or ""
        return error.code, float(asked) if asked.isascii() and asked.isdigit() else None, b""


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, up to the deadline."""
    parts, size = [], 0
    while part := answer.read1(65536):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError("endless answer")
        if time.monotonic() > deadline:
            raise TimeoutError
    if answer.length:
        raise http.client.IncompleteRead(b"".join(parts), answer.length)
    return b"".join(parts)


def _status_text(label: str, status: int, wait: float | None) -> str:
    """What an HTTP status means here, with the remedy."""
    if status in (401, 403):
        return f"{label} refused the credentials (HTTP {status}): check the token and its plan"
    if status == 400:
        return f"{label} did not accept the request (HTTP 400): check the zone or ask for fewer days"
    if status == 404:
        return f"{label} has no such zone or time (HTTP 404): check the zone"
    if status == 429:
        left = f"{wait:g} s" if wait else "an hour"
        return f"{label} reports that the quota is used up (HTTP 429): wait {left}, or send fewer requests"
    if 300 <= status < 400:
        return f"{label} redirects to another address (HTTP {status}), which gets no token: give it as url="
    return f"{label} reports an error of its own (HTTP {status}): try again later or give a fallback"
