"""The HTTP link: login, kept connections, and what failures are called."""

import contextlib
import hashlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from devices.web import DigestLogin, Said, Web, basic, response

from energymeter.drivers.links.http import HttpClient, challenges, login
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout


def hello(target: str, headers: dict[str, str]) -> Said:
    return Said(200, '{"hello": 1}')


def client(web: Web, **options: object) -> HttpClient:
    return opened(web.port, **options)


_links: list[HttpClient] = []


@pytest.fixture(autouse=True)
def _links_are_closed() -> Iterator[None]:
    yield
    while _links:
        _links.pop().close()


def opened(port: int, **options: object) -> HttpClient:
    """A link that is closed at the end of the test."""
    link = HttpClient("127.0.0.1", port, name="test@plug", **options)  # type: ignore[arg-type]
    link.open()
    _links.append(link)
    return link


def test_the_verifier_agrees_with_rfc_7616() -> None:
    """§3.9.1: the emulated server computes what the RFC prints."""
    given = (
        "Mufasa",
        "http-auth@example.org",
        "Circle of Life",
        "/dir/index.html",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "00000001",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert response("sha256", *given) == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert response("md5", *given) == "8ca523f5e9506fed4657c9700eebdbec"


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_one_nonce_serves_many_requests_and_each_counts(algorithm: str) -> None:
    guard = DigestLogin(hello, "s3cret", algorithm=algorithm)
    with Web(guard) as web:
        link = client(web, user="admin", password="s3cret")
        for _ in range(3):
            assert link.get_json("/rpc?id=0") == {"hello": 1}
        link.close()
    assert guard.counts == [1, 2, 3]
    assert guard.refused == ["no answer"]
    assert web.connections == 1


@pytest.mark.parametrize("say_stale", [True, False])
def test_a_worn_out_nonce_is_renewed(say_stale: bool) -> None:
    guard = DigestLogin(hello, "s3cret", uses=2, say_stale=say_stale)
    with Web(guard) as web:
        link = client(web, user="admin", password="s3cret")
        for _ in range(5):
            link.get("/")
        link.close()
    assert guard.counts == [1, 2, 1, 2, 1]
    assert guard.refused == ["no answer", "stale", "stale"]


def test_a_wrong_password_is_said_once_and_never_shown() -> None:
    guard = DigestLogin(hello, "right")
    with Web(guard) as web:
        link = client(web, user="admin", password="wr0ng-pass")
        with pytest.raises(SourceForbidden, match="refuses the user name or password") as caught:
            link.get("/")
    assert guard.refused == ["no answer", "wrong"]
    assert "wr0ng-pass" not in f"{caught.value!r} {link!r} {link.__dict__['_login']!r}"


def test_no_password_says_how_to_give_one() -> None:
    with Web(DigestLogin(hello, "right")) as web, pytest.raises(SourceForbidden, match="password_env="):
        client(web).get("/")


def test_the_strongest_known_login_is_taken() -> None:
    offers = [
        'Basic realm="x"',
        'Digest realm="x", nonce="1", algorithm=MD5, qop="auth"',
        'Digest realm="x", nonce="1", algorithm=SHA-512-256, qop="auth", Digest realm="x", nonce="2", '
        'algorithm=SHA-256, qop="auth-int, auth"',
    ]
    chosen = login(offers, "u", "p")
    assert chosen is not None
    assert 'nonce="2"' in chosen.header("/")
    assert login(['Digest realm="x", nonce="1", qop="auth-int"'], "u", "p") is None
    assert login(["Negotiate"], "u", "p") is None


def test_a_digest_is_preferred_to_basic_on_the_wire() -> None:
    with Web(DigestLogin(hello, "pw", also='Basic realm="plug", ')) as web:
        assert client(web, user="admin", password="pw").get("/").status == 200


def test_old_digest_without_qop_and_session_keys() -> None:
    """RFC 2069's form, and MD5-sess, against the RFC's formulas written out."""

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    old = login(['Digest realm="r", nonce="n"'], "u", "p")
    assert old is not None
    expected = h(f"{h('u:r:p')}:n:{h('GET:/x')}")
    assert f'response="{expected}"' in old.header("/x")
    assert "cnonce" not in old.header("/x")
    session = login(['Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"'], "u", "p")
    assert session is not None
    (scheme, said), *_ = challenges([session.header("/x")])
    assert scheme == "digest"
    key = h(f"{h('u:r:p')}:n:{said['cnonce']}")
    assert said["response"] == h(f"{key}:n:{said['nc']}:{said['cnonce']}:auth:{h('GET:/x')}")


def test_basic() -> None:
    def route(target: str, headers: dict[str, str]) -> Said:
        if headers.get("authorization") == basic("me", "p:w"):
            return Said(200, "{}")
        return Said(401, "", (("WWW-Authenticate", 'Basic realm="hub"'),))

    with Web(route) as web:
        assert client(web, user="me", password="p:w").get("/").status == 200
        with pytest.raises(SourceForbidden):
            client(web, user="me", password="other").get("/")


def test_a_connection_closed_behind_our_back_is_made_again() -> None:
    with Web(hello) as web:
        link = client(web)
        link.get("/")
        web.hang_up()
        assert link.get_json("/") == {"hello": 1}
        assert web.connections == 2


def test_gone_and_back() -> None:
    with Web(hello) as web:
        link = client(web)
        link.get("/")
        web.vanish()
        with pytest.raises(SourceMissing, match="refuses the connection"):
            link.get("/")
        web.start()
        assert link.get("/").status == 200


def test_silence_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link = opened(mute.getsockname()[1], timeout=0.05)
        with pytest.raises(SourceTimeout, match="test@plug does not answer"):
            link.get("/")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (Said(200, "<html>"), "something else than JSON"),
        (Said(200, "[" * 200_000), "something else than JSON"),
        (Said(500, "{}"), "HTTP status 500"),
        (Said(302, "", (("Location", "/elsewhere"),)), "HTTP status 302"),
        (Said(200, b"x" * (2 << 20)), "megabyte"),
    ],
)
def test_odd_answers(said: Said, match: str) -> None:
    with Web(lambda target, headers: said) as web, pytest.raises(SourceError, match=match):
        client(web).get_json("/?password=hidden")


def test_an_answer_cut_short_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = opened(server.getsockname()[1], timeout=1.0)

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SourceError, match="connection was lost"):
            link.get_json("/")
        thread.join()


def test_something_that_is_no_web_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = opened(server.getsockname()[1], timeout=1.0)

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SourceError, match="does not speak HTTP"):
            link.get("/")
        thread.join()


def served(answer: Callable[[socket.socket], None], timeout: float = 0.3) -> tuple[float, object]:
    """How long one request of a server that answers like this takes, and what comes of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = opened(server.getsockname()[1], timeout=timeout)

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        began = time.monotonic()
        try:
            outcome: object = link.get("/").body
        except SourceError as error:
            outcome = error
        finally:
            seconds = time.monotonic() - began
            link.close()
            thread.join()
        return seconds, outcome


def drip(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Pieces in turn, each sooner than a timeout of its own would notice."""

    def answer(connection: socket.socket) -> None:
        for piece in itertools.islice(itertools.cycle(pieces), 60):
            connection.sendall(piece)
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", *[b"X: y\r\n"] * 59),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"5"] * 59),
        (b"H", b"T"),
    ],
    ids=["headers", "interim answers", "body", "status line"],
)
def test_one_deadline_holds_for_everything_that_drips(pieces: tuple[bytes, ...]) -> None:
    seconds, outcome = served(drip(*pieces))
    assert isinstance(outcome, SourceTimeout)
    assert 0.25 < seconds < 0.6


@pytest.mark.parametrize("length", ["²", "-5", "9" * 5000, "1e3", "5;5", ""])
def test_a_length_that_is_no_number_is_ignored(length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n5".encode("latin-1")
    _, outcome = served(lambda connection: connection.sendall(head))
    assert outcome == b"5" or isinstance(outcome, SourceError)


def test_a_flood_without_a_length_is_refused_and_its_connection_closed() -> None:
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + b"5" * (32 << 20)
    closed: list[bool] = []

    def answer(connection: socket.socket) -> None:
        connection.settimeout(2.0)
        try:
            connection.sendall(flood)
        except ConnectionError:
            closed.append(True)

    _, outcome = served(answer, timeout=5.0)
    assert isinstance(outcome, SourceError)
    assert "megabyte" in str(outcome)
    assert closed
