"""Who may ask a site, and for what: host, origin, token, paths, policies."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.simulated import make_trace
from report.simulated_comparison import folder_of, runs_of
from serve.made_figures import BOARD, CPU, GivenFeed, figures

from energymeter.report.live import Bar
from energymeter.serve.feed import Columns
from energymeter.serve.shared_folder import SharedFolder
from energymeter.serve.site import COOKIE, Response, Site

HOST = {"host": "127.0.0.1:9736"}
TOKEN = "correct horse"
BAD_NAME = '<img src=x onerror="alert(1)">'


class Feed(GivenFeed):
    def columns(self, source: str, channel: str, zoom: int, since: int) -> Columns:
        bars = [Bar(3.0, 4.0, 1.0), Bar(None, None, 0.0), Bar(float("inf"), None, 0.5)]
        return Columns(since, bars, 0.5, 1e9)


def site(*states, **options) -> Site:
    return Site(Feed(figures(*states)), **options)  # type: ignore[arg-type]


def get(asked: Site, target: str, headers: Mapping[str, str] = HOST) -> Response:
    return asked.respond("GET", target, headers)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9736", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:9736", 200),
        ("pi.lan:80", 200),
        ("attacker.example", 403), ("attacker.example:9736", 403), ("127.0.0.1.nip.io", 403), ("", 403),
        ("localhost.attacker.example", 403), ("[::2]", 403), ("127.0.0.1@attacker.example", 403),
    ],
)  # fmt: skip
def test_a_name_that_was_made_to_resolve_here_opens_nothing(host: str, status: int) -> None:
    asked = site(hosts=["pi.lan"])
    for target in ("/", "/api/live", "/metrics"):
        expected = 404 if (target, status) == ("/metrics", 200) else status
        assert get(asked, target, {"host": host}).status == expected


@pytest.mark.parametrize(
    "more",
    [
        {"origin": "http://attacker.example"}, {"origin": "http://localhost:9736"}, {"origin": "null"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    ],
)  # fmt: skip
def test_a_page_of_another_origin_reads_nothing(more: dict[str, str]) -> None:
    assert get(site(), "/api/live", {**HOST, **more}).status == 403
    same = {"origin": "http://127.0.0.1:9736", "sec-fetch-site": "same-origin"}
    assert get(site(), "/api/live", {**HOST, **same}).status == 200


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "GET\r\nX: y"]
)
def test_nothing_can_be_changed(method: str) -> None:
    assert site().respond(method, "/api/live", HOST).status == 405


def test_with_a_token_only_the_empty_page_is_open() -> None:
    asked = site(token=TOKEN)
    assert get(asked, "/").status == 200
    wrong = [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": f"{COOKIE}={TOKEN}"},
             {"authorization": "Bearer "}, {"authorization": "Bearer correct hörse"},
             {"cookie": f"{COOKIE}="}]  # fmt: skip
    for target in ("/api/live", "/api/recordings", "/metrics", "/api/login", "/nothing"):
        for headers in wrong:
            answer = get(asked, target, {**HOST, **headers})
            assert answer.status == 401, (target, headers)
            assert ("WWW-Authenticate", 'Bearer realm="energymeter"') in answer.headers
            assert b"ina219" not in answer.body
    given = {**HOST, "authorization": f"Bearer {TOKEN}"}
    assert get(asked, "/api/live", given).status == 200


def test_with_a_token_the_agent_may_have_any_name_but_no_page_of_another_site() -> None:
    """A page of another site knows no token, and the cookie is not that of its name."""
    asked, given = site(token=TOKEN), {"authorization": f"Bearer {TOKEN}"}
    assert get(asked, "/api/live", {"host": "pi.lan:9736", **given}).status == 200
    assert get(asked, "/api/live", {"host": "pi.lan:9736"}).status == 401
    crossed = {"host": "pi.lan:9736", "origin": "https://attacker.example", **given}
    assert get(asked, "/api/live", crossed).status == 403


def test_the_cookie_proves_the_token_and_does_not_contain_it() -> None:
    asked = site(token=TOKEN)
    answer = get(asked, "/api/login", {**HOST, "authorization": f"Bearer {TOKEN}"})
    cookie = dict(answer.headers)["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    value = cookie.partition(";")[0]
    assert get(asked, "/api/live", {**HOST, "cookie": f"other=1; {value}"}).status == 200
    assert get(site(token="another"), "/api/live", {**HOST, "cookie": value}).status == 401


@pytest.fixture
def folder(tmp_path: Path) -> SharedFolder:
    shared = tmp_path / "shared"
    shared.mkdir()
    make_trace("measured").save(shared / "run.csv")
    (tmp_path / "secret.csv").write_text("secret")
    (shared / "link.csv").symlink_to(tmp_path / "secret.csv")
    (shared / "notes.txt").write_text("secret")
    (shared / "folder.csv").mkdir()
    return SharedFolder(str(shared))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv", "..%2fsecret.csv", "%2e%2e/secret.csv", "..%5csecret.csv", "/etc/passwd",
        "%2fetc%2fpasswd",
        "link.csv", "notes.txt", "folder.csv", "run.csv%00.csv", "run.csv?", "", ".", "..", "run.csv/",
        "./run.csv",
        "absent.csv", "%ff%fe", "run.csv%3fwatts=x",
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(name: str, folder: SharedFolder) -> None:
    asked = site(folder=folder)
    for route in ("/recordings/", "/api/recordings/", "/api/comparisons/", "/report?file="):
        answer = get(asked, route + name)
        if (name, route) in (("run.csv?", "/recordings/"), ("run.csv?", "/api/recordings/")):
            assert answer.status == 200, "an empty query"
            continue
        assert answer.status in (400, 404), (route, name, answer)
        assert b"secret" not in answer.body.replace(b"secret.csv", b"")


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=80),
    st.dictionaries(st.sampled_from(["host", "origin", "cookie", "authorization"]), st.text(max_size=40)),
)
def test_any_target_and_headers_are_answered(target: str, headers: dict[str, str]) -> None:
    answer = ANY.respond("GET", f"/{target}", {**HOST, **headers})
    assert answer.status in (200, 400, 401, 403, 404, 405, 414)


ANY = site(token=TOKEN, folder=SharedFolder("/nonexistent"))


def test_an_endless_target_is_refused() -> None:
    assert get(site(), "/" + "a" * 5000).status == 414


def test_the_folder_is_listed_drawn_and_downloaded(folder: SharedFolder, tmp_path: Path) -> None:
    asked = site(folder=folder)
    listed = json.loads(get(asked, "/api/recordings").body)
    assert [name for name, _, _ in listed["recordings"]] == ["run.csv"]
    drawn = json.loads(get(asked, "/api/recordings/run.csv").body)
    assert len(drawn["edges"]) == len(drawn["watts"]) + 1
    joules = sum(
        w * (b - a)
        for w, a, b in zip(drawn["watts"], drawn["edges"], drawn["edges"][1:], strict=False)
        if w is not None
    )
    assert joules == pytest.approx(26.0, rel=0.01), "2 W for 9 s, and 4 W more for 2 s"
    assert None in drawn["watts"], "the gap is a gap"
    assert [span["name"] for span in drawn["spans"]] == ["load", "infer"]
    answer = get(asked, "/recordings/run.csv")
    assert answer.body == (tmp_path / "shared" / "run.csv").read_bytes()
    assert dict(answer.headers)["Content-Disposition"].startswith("attachment;")


def test_a_recording_that_is_too_large_is_refused(
    folder: SharedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("energymeter.serve.shared_folder.MOST_BYTES", 1000)
    for target in ("/api/recordings/run.csv", "/recordings/run.csv", "/report?file=run.csv"):
        answer = get(site(folder=folder), target)
        assert answer.status == 404
        assert b"larger" in answer.body or b"cannot be read" in answer.body


def test_a_report_runs_no_script_and_keeps_its_own_style(folder: SharedFolder) -> None:
    answer = get(site(folder=folder), "/report?file=run.csv")
    policy = dict(answer.headers)["Content-Security-Policy"]
    assert answer.status == 200
    assert "sandbox" in policy
    assert "style-src 'sha256-" in policy
    assert "script-src" not in policy
    assert "unsafe-inline" not in policy


def test_a_comparison_shows_its_verdict(tmp_path: Path) -> None:
    runs = runs_of({"a": 5.0, "b": 3.0})
    folder_of(str(tmp_path / "ab"), runs, ["a", "b"])
    asked = site(folder=SharedFolder(str(tmp_path)))
    assert [name for name, _, _ in json.loads(get(asked, "/api/recordings").body)["comparisons"]] == ["ab"]
    answer = json.loads(get(asked, "/api/comparisons/ab").body)
    assert answer["verdicts"]
    assert len(answer["head"]) == len(answer["rows"][0])
    assert [row[0] for row in answer["rows"]] == ["a", "b"]
    assert all(re.fullmatch(r"\d+\.\d %", row[3]) for row in answer["rows"]), answer["rows"]


def test_figures_are_texts_and_nothing_that_json_does_not_know() -> None:
    hostile = BOARD._replace(source=BAD_NAME, channel=BAD_NAME)
    answer = get(site(hostile, CPU), "/api/live?zoom=1&since=40")
    live = json.loads(answer.body, parse_constant=pytest.fail)
    assert dict(answer.headers)["Content-Type"] == "application/json"
    assert live["rails"][0]["channel"] == BAD_NAME, "the page shows it as text"
    assert live["columns"]["bars"] == [[3.0, 4.0, 1.0], [None, None, 0.0], [None, None, 0.5]]
    assert live["columns"]["first"] == 40
    assert live["power"] == "3.600 W ± 0.020"
    assert live["rails"][1]["counted"] is False
    assert live["batteries"][0]["hours"].startswith("1 h 42 min")
    assert live["batteries"][1]["hours"] == "no load was seen yet"


def test_what_does_not_answer_is_unknown_and_not_nothing() -> None:
    silent = BOARD._replace(watts=None, watts_uncertainty=None)
    live = json.loads(get(site(silent), "/api/live").body)
    assert live["power"] == "unknown"
    assert live["watts"] is None
    assert live["sources"] == [{"name": "board", "up": False, "error": "it is unplugged"}]


@pytest.mark.parametrize(
    "query", ["zoom=-1", "zoom=99", "zoom=x", "since=-5", "since=9e9", "source=x&channel=y", "zoom=1&" * 30]
)
def test_a_query_that_makes_no_sense_harms_nothing(query: str) -> None:
    assert get(site(), f"/api/live?{query}").status in (200, 400)


# -- the page ------------------------------------------------------------------------------------------


def test_the_page_is_one_small_file_whose_policy_allows_itself_alone() -> None:
    answer = get(site(), "/")
    headers, page = dict(answer.headers), answer.body.decode()
    assert len(answer.body) < 300_000
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/=]+'", policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"\sstyle=|\son[a-z]+=|https?://", page), (
        "no style and no script in an attribute, no link"
    )
    assert page.count("<script") == 1


def test_the_script_sets_texts_and_no_markup() -> None:
    script = (Path(__file__).parents[2] / "energymeter/serve/page/page.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML\s*=[^=]|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
    )


def test_metrics_alone_serve_no_page() -> None:
    asked = site(page=False, metrics=SimpleNamespace(content_type="text/plain", text=lambda: b"x 1\n"))
    assert get(asked, "/metrics").body == b"x 1\n"
    assert get(asked, "/").status == 404
    assert get(asked, "/api/live").status == 404
    head = asked.respond("HEAD", "/metrics", HOST)
    assert (head.status, head.body) == (200, b"")
