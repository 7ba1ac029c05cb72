"""A lake in a bucket: pushed to, asked, compacted over the S3 protocol, which moto's server speaks."""

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed here: make test-lake")
pytest.importorskip("moto.server", reason="moto is not installed here: make test-lake")
pytest.importorskip("duckdb", reason="DuckDB is not installed here: make test-lake")

from lakes import CREDENTIALS, calls, pushed, recorded, s3_server
from test_lake_questions import same

from energymeter.errors import LogError
from energymeter.lake import Store, Tables, compact
from energymeter.lake.questions import QUESTIONS

pytestmark = pytest.mark.peers


@pytest.fixture
def endpoint(monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server, url = s3_server()
    yield url
    server.stop()


def fill(store):
    for number in range(3):
        pushed(
            store, recorded("a", 1_795_860_000 + 100 * number, spans=calls((1.0, 2.0))), units=2.0, model="m"
        )


def test_a_bucket_answers_as_a_folder_does(endpoint, tmp_path):
    store = Store("s3://class/lake", endpoint_url=endpoint)
    store.files.mkdir("class")
    fill(store)
    fill(tmp_path)
    local = {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()}
    same(local, {name: question(Tables(store)).rows for name, question in QUESTIONS.items()})
    before = store.names("", deep=True)
    fill(store)  # again
    assert store.names("", deep=True) == before
    assert compact(store).files_after == 5
    same(local, {name: question(Tables(store)).rows for name, question in QUESTIONS.items()})


def test_a_bucket_that_is_not_there_is_one_sentence_without_keys(endpoint):
    with pytest.raises(LogError) as refused:
        pushed(Store("s3://nobody/lake", endpoint_url=endpoint), recorded())
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
