"""Link helper for HTTP logins: Basic (RFC 7617) and Digest (RFC 7616), from challenge to header.

urllib's digest handler knows MD5 and SHA-1 only (``urllib.request.AbstractDigestAuthHandler``), while
Shelly Gen2+ insists on SHA-256; so RFC 7616 is done here. Nothing but the standard library.
"""

import base64
import hashlib
import os
import re

_PART = re.compile(
    r'(?:(?P<scheme>[A-Za-z][\w-]*)\s+)?(?P<key>[\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
)
_HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""RFC 7616 §6.1, strongest first; SHA-512-256 is left out: OpenSSL builds without it are common."""


def challenges(headers: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Every challenge in the ``WWW-Authenticate`` headers: its scheme in lower case, its parameters.

    >>> challenges(['Basic realm="a", Digest realm="b, c", qop="auth"'])
    [('basic', {'realm': 'a'}), ('digest', {'realm': 'b, c', 'qop': 'auth'})]
    """
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(", ".join(headers)):
        if part["scheme"]:
            found.append((part["scheme"].lower(), {}))
        if found:
            value = part["plain"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1][part["key"].lower()] = value
    return found


class Basic:
    """RFC 7617: name and password, all but in the clear."""

    stale = False

    def __init__(self, user: str, password: str) -> None:
        self._token = base64.b64encode(f"{user}:{password}".encode()).decode()

    def header(self, uri: str) -> str:
        return f"Basic {self._token}"


class Digest:
    """RFC 7616: a nonce's worth of answers, counted so that none can be replayed.

    Raises:
        ValueError: an algorithm or quality of protection that is not spoken here.
    """

    def __init__(self, challenge: dict[str, str], user: str, password: str) -> None:
        self.stale = challenge.get("stale", "").lower() == "true"
        self._challenge = challenge
        self._user, self._password = user, password
        self._count = 0
        algorithm = challenge.get("algorithm", "MD5").upper()
        self._session = algorithm.endswith("-SESS")
        self._hash = _HASHES.get(algorithm.removesuffix("-SESS"))
        offered = {q.strip().lower() for q in challenge.get("qop", "").split(",")} - {""}
        if self._hash is None or (offered and "auth" not in offered):
            raise ValueError(f"{algorithm} {challenge.get('qop', '')}")
        self.strength = -list(_HASHES).index(algorithm.removesuffix("-SESS"))
        self._qop = bool(offered)

    def _h(self, text: str) -> str:
        assert self._hash is not None
        return self._hash(text.encode(), usedforsecurity=False).hexdigest()

    def header(self, uri: str) -> str:
        """The ``Authorization`` value of the next GET of ``uri``."""
        realm, nonce = self._challenge.get("realm", ""), self._challenge.get("nonce", "")
        self._count += 1
        nc, cnonce = f"{self._count:08x}", os.urandom(8).hex()
        ha1 = self._h(f"{self._user}:{realm}:{self._password}")
        if self._session:
            ha1 = self._h(f"{ha1}:{nonce}:{cnonce}")
        ha2 = self._h(f"GET:{uri}")
        middle = f"{nonce}:{nc}:{cnonce}:auth" if self._qop else nonce
        hashed = self._challenge.get("userhash", "").lower() == "true"
        user = self._h(f"{self._user}:{realm}") if hashed else self._user
        quoted = {
            "username": user,
            "realm": realm,
            "nonce": nonce,
            "uri": uri,
            "response": self._h(f"{ha1}:{middle}:{ha2}"),
        }
        if "opaque" in self._challenge:
            quoted["opaque"] = self._challenge["opaque"]
        bare = {"algorithm": self._challenge["algorithm"]} if "algorithm" in self._challenge else {}
        if self._qop:
            bare |= {"qop": "auth", "nc": nc}
        if self._qop or self._session:
            quoted["cnonce"] = cnonce
        if hashed:
            bare["userhash"] = "true"
        parts = [f'{k}="{_escape(v)}"' for k, v in quoted.items()] + [f"{k}={v}" for k, v in bare.items()]
        return "Digest " + ", ".join(parts)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def login(headers: list[str], user: str, password: str) -> Basic | Digest | None:
    """The strongest way in that both sides know; ``None`` if there is none."""
    digests: list[Digest] = []
    basic = False
    for scheme, challenge in challenges(headers):
        basic = basic or scheme == "basic"
        if scheme == "digest":
            try:
                digests.append(Digest(challenge, user, password))
            except ValueError:
                continue  # a stronger algorithm than ours is offered beside one that we know, or alone
    if digests:
        return max(digests, key=lambda digest: digest.strength)
    return Basic(user, password) if basic else None
