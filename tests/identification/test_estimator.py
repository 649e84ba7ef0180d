from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from identification import SubspaceID, compare, fit_percent, subspace_id
from realization import InnovationSSM, markov_parameters, simulate

PLANT = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.5], [0.2]], [[0.1]], B=[[1.0], [1.0]]
)
U = np.random.default_rng(0).standard_normal((900, 1))
Y = simulate(PLANT, U, noise=True, rng=1).y


def test_options_are_those_of_subspace_id():
    function = inspect.signature(subspace_id).parameters
    ours = inspect.signature(SubspaceID).parameters
    assert set(function) - set(ours) == {"y", "u", "factor", "progress"}
    assert set(ours) <= set(function)
    for name, parameter in ours.items():
        assert parameter.default == function[name].default


def test_fit_is_subspace_id():
    options = {"order": 2, "method": "pbsid", "past": 8, "feedthrough": False, "dt": 0.1}
    model = SubspaceID(**options).fit(Y, U)
    expected = subspace_id(Y, U, **options)
    np.testing.assert_array_equal(
        markov_parameters(model.result_.model, 9), markov_parameters(expected.model, 9)
    )
    assert model.result_.dt == 0.1


@pytest.mark.parametrize(("focus", "horizon"), [("prediction", 1), ("simulation", np.inf)])
def test_predict_and_score_agree_with_compare(focus, horizon):
    model = SubspaceID(order=2, method="moesp", focus=focus).fit(Y[:500], U[:500])
    comparison = compare(model.result_, Y[500:], U[500:], horizon=horizon)
    predicted = model.predict(Y[500:], U[500:])
    np.testing.assert_array_equal(predicted, comparison.y_hat[0][0])
    assert model.score(Y[500:], U[500:]) == fit_percent(Y[500:], predicted).mean()
    assert model.score(Y[500:], U[500:]) > 70


def test_experiments_and_outputs_only():
    model = SubspaceID(order=2, method="cva").fit([Y[:400], Y[400:]], [U[:400], U[400:]])
    predicted = model.predict([Y[:100], Y[100:]], [U[:100], U[100:]])
    assert [run.shape for run in predicted] == [(100, 1), (800, 1)]
    assert SubspaceID(order=2, method="cva").fit(Y).predict(Y).shape == (900, 1)


def test_clone_copies_options_and_no_model():
    model = SubspaceID(order=2, method="cva", past=9, stable=True).fit(Y, U)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "result_")
    assert repr(copy) == "SubspaceID(order=2, method='cva', past=9, stable=True)"
    assert repr(SubspaceID()) == "SubspaceID()"
    assert clone(copy.set_params(order=3)).order == 3
    assert copy.set_params() is copy


def test_selection_by_scikit_learn():
    folds = TimeSeriesSplit(3)
    scores = cross_val_score(SubspaceID(order=2, method="cva"), Y, U, cv=folds)
    assert (scores > 80).all()
    search = GridSearchCV(SubspaceID(method="cva"), {"order": [0, 1, 2]}, cv=folds).fit(Y, U)
    assert search.best_params_ == {"order": 2}
    assert search.best_estimator_.result_.n_states == 2


def test_scikit_learn_is_not_needed():
    code = (
        "import sys; import numpy as np; from identification import SubspaceID\n"
        "y = np.random.default_rng(0).standard_normal((200, 1))\n"
        "SubspaceID(order=1, method='cva').fit(y).score(y)\n"
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wrong_calls():
    with pytest.raises(ValueError, match="no model yet: call fit"):
        SubspaceID().predict(Y, U)
    with pytest.raises(ValueError, match="no model yet"):
        SubspaceID().score(Y, U)
    model = SubspaceID(order=1)
    with pytest.raises(
        ValueError, match="`ordre` is no option of SubspaceID; there are order, met"
    ):
        model.set_params(method="cva", ordre=3)
    assert model.method == "auto"  # nothing was changed
    with pytest.raises(ValueError, match="`method` must be one of"):
        SubspaceID(method="n4sad").fit(Y, U)
    with pytest.raises(ValueError, match="missing value"):
        SubspaceID(order=1).fit(np.full((100, 1), np.nan))
    with pytest.raises(ValueError, match="has 1 output and 1 input; the data have 2 and 1"):
        SubspaceID(order=2, method="cva").fit(Y, U).predict(np.hstack([Y, Y]), U)
    for empty in (np.zeros((0, 1)), []):
        with pytest.raises(ValueError, match=r"no samples|empty list"):
            SubspaceID().fit(empty)
