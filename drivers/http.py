"""Any JSON, or bare number, behind a URL as a meter: home hubs, lab supplies, inverters, your own script.

    http@http://192.168.1.7/status?watts=$.meters[0].power
    http@"http://192.168.1.7/api?id=3"?watts=$.p&unit=mW
    http@https://hub.lan/power?unit=W&user=me&password_env=HUB_PASSWORD

Units are never guessed: a bare number needs ``unit=``, paths are SI unless ``unit=`` (for watts),
``volts_unit=``, ``amps_unit=`` or ``joules_unit=`` says otherwise. ``joules=`` reads a running counter.
Resolution, accuracy and rate are the device's own; ``accuracy=0.02`` states ±2 %, not given it is unknown.
Redirects are not followed. Login: Basic, or Digest with SHA-256 or MD5, as the server asks.

A first-generation Shelly is read so: ``http@http://PLUG/status?watts=$.meters[0].power&measures=wall``
[from memory of its API, not tried].

Semantics: instants, or counters with ``joules=``. Sources: RFC 7616 and RFC 7617 for the logins.
Renewal: as the server does; unknown.
Counters: ``joules=``, if the answer holds one.
Loss: none; TCP delivers whole replies or an error.
Tested on: an emulated server; real hardware: none yet.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

from energymeter.drivers.links.http import HttpClient
from energymeter.drivers.protocols.text_fields import JsonSource
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Reading

__all__ = ["Http"]


class Http(JsonSource):
    """The number at a URL, read as power, voltage and current, or as a counter of joules.

    Further options as of ``TextSource``.

    Args:
        address: the URL; a name, password or query in it is used and never shown.
        user, password: for the server; ``password_env`` names an environment variable instead.
        timeout: seconds one answer may take.

    Raises:
        SpecError: no such URL, path or unit.
    """

    def __init__(
        self,
        address: str = "",
        *,
        user: str = "",
        password: str = "",
        password_env: str = "",
        timeout: float = 1.5,
        **fields: Any,
    ) -> None:
        try:
            url = urlsplit(address)
            port = url.port or (443 if url.scheme == "https" else 80)
        except ValueError as error:
            raise SpecError(
                f"the URL makes no sense ({error}); give one such as http://192.168.1.7/status"
            ) from error
        if url.scheme not in ("http", "https") or not url.hostname or timeout <= 0:
            raise SpecError("give a whole URL, such as http@http://192.168.1.7/status, and a timeout above 0")
        shown = f"http@{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        super().__init__(shown, url.query, **fields)
        self._target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._client = HttpClient(
            url.hostname,
            port,
            name=self.name,
            tls=url.scheme == "https",
            user=user or unquote(url.username or ""),
            password=password or unquote(url.password or ""),
            password_env=password_env,
            timeout=timeout,
        )

    def open(self) -> None:
        """Ask once.

        Raises:
            SpecError: ``password_env`` names a variable that is not set.
            SourceMissing, SourceForbidden, SourceTimeout, SourceError: as the message says.
        """
        self._client.open()
        try:
            self.read()
        except SourceError:
            self.close()
            raise

    def read(self) -> Reading:
        """Ask again, over the same connection or a new one.

        Raises:
            SourceError: as `open`.
        """
        answer = self._client.get(self._target)
        if answer.status != 200:
            raise SourceError(f"{self.name} answers with HTTP status {answer.status}; check the URL")
        return self._reading(answer.body)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()
