"""scikit-learn: its callbacks, and fit and predict of any estimator."""

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import Battery, Budget, EnergyMeter
from energymeter.integrations import instrument, sklearn_callback
from energymeter.meter import active

offline_with_one_thread()
sklearn = pytest.importorskip(
    "sklearn", reason="scikit-learn is not installed; `make test-integrations` has it"
)
pytest.importorskip("sklearn.callback", reason="scikit-learn is older than 1.9 and has no callbacks")
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, params=[versions("scikit-learn")], ids=str)
def _version(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.fixture
def meter():
    return EnergyMeter(SOURCE, linger=0)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def test_fit_and_predict_of_any_estimator(meter, digits):
    x, y = digits
    forest, outer = RandomForestClassifier(5, random_state=1), EnergyMeter(SOURCE, linger=0)
    with instrument(forest, meter), outer, meter:
        forest.fit(x, y)
        forest.predict(x[:100])
        forest.score(x[:50], y[:50])  # which predicts: once
    assert meter.spans["fit"].usage.per("samples").number == len(x)
    assert meter.spans["infer"].usage.per("samples").number == 150
    assert len(meter.spans["infer"]) == 2
    assert agree(meter, outer)
    assert "fit" not in vars(forest)


def test_the_callback_measures_each_fit_of_a_search(meter, digits):
    callback, outer = sklearn_callback(meter), EnergyMeter(SOURCE, linger=0)
    search = GridSearchCV(LogisticRegression(max_iter=20), {"C": [0.1, 1.0]}, cv=2)
    search.set_callbacks(callback)
    with outer:
        search.fit(*digits)
    spans = meter.spans
    assert {name: len(spans[name]) for name in spans}["GridSearchCV fit"] == 1
    assert sum(len(each) for each in spans.values()) >= 5, list(spans)
    assert agree(meter, outer)
    assert not active.has(meter)


def test_the_steps_of_a_pipeline(meter, digits):
    callback = sklearn_callback(meter)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=20))
    pipeline.set_callbacks(callback).fit(*digits)
    assert "Pipeline fit" in meter.spans
    assert len(meter.spans) > 1, list(meter.spans)


def test_the_error_of_a_fit_passes_and_the_meter_is_left(meter):
    callback = sklearn_callback(meter)
    search = GridSearchCV(LogisticRegression(), {"C": [-1.0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="C"):
        search.set_callbacks(callback).fit([[0.0], [1.0]] * 4, [0, 1] * 4)
    assert not active.has(meter)


def test_workers_measure_nothing_and_the_whole_is_measured(meter, digits):
    callback = sklearn_callback(meter)
    search = GridSearchCV(LogisticRegression(max_iter=5), {"C": [0.1, 1.0]}, cv=2, n_jobs=2)
    search.set_callbacks(callback).fit(*digits)
    assert meter.spans["GridSearchCV fit"].usage.joules == pytest.approx(meter.usage.joules, rel=0.1)


def test_at_the_reserve_a_fit_ends_its_iterations(digits):
    Budget("lab", Battery(1.0 / 3.6 / 5, basis="rail", capacity_sigma=0.0))  # 1 J
    callback = sklearn_callback(EnergyMeter("manual:50V,20A", linger=0, budget="lab"), reserve=0.5)
    model = LogisticRegression(max_iter=10_000, tol=1e-12)
    model.set_callbacks(callback).fit(*digits)
    assert "reserve is reached" in callback.energy.stopped
