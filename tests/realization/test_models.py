"""The records: what they accept, refuse, keep and print."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from realization import (
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
)

A = np.array([[0.5, 0.1], [0.0, 0.3]])
B = np.array([[1.0], [2.0]])
C = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]])
D = np.array([[0.0], [1.0], [0.0]])
Q = np.array([[2.0, 0.5], [0.5, 1.0]])
R = np.diag([1.0, 2.0, 3.0])
S = np.array([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0]])
K = 0.1 * C.T


def records():
    return [
        LinearSSM(A, B, C, D, dt=0.1),
        GaussianSSM(A, C, Q, R, S, B=B, D=D, m0=[1.0, 2.0], P0=np.eye(2), dt=0.1),
        GaussianSSM(A, C, Q, R),
        InnovationSSM(A, C, K, R, B=B, D=D, x0=[1.0, 2.0], dt=0.1),
        CovarianceModel(A, C, C.T, 10 * R, dt=0.1),
    ]


def arrays_of(record):
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def same(a, b):
    assert type(a) is type(b)
    for f in dataclasses.fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        assert (x is None and y is None) or np.array_equal(x, y), f.name


@pytest.mark.parametrize("record", records(), ids=lambda r: type(r).__name__)
class TestEveryRecord:
    def test_sizes(self, record):
        inputs = 0 if isinstance(record, CovarianceModel) or record.B.shape[1] == 0 else 1
        assert dataclasses.replace(record, dt=np.float32(0.5)).dt == 0.5
        assert (record.n_states, record.n_inputs, record.n_outputs) == (2, inputs, 3)

    def test_arrays_are_read_only_contiguous_floats(self, record):
        for array in arrays_of(record).values():
            assert array.dtype == float
            assert array.flags.c_contiguous
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0.0

    def test_fields_cannot_be_assigned_or_deleted(self, record):
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.A = np.eye(2)
        with pytest.raises(dataclasses.FrozenInstanceError):
            del record.A

    def test_no_new_attributes(self, record):
        with pytest.raises((AttributeError, TypeError)):
            record.name = "plant"

    def test_pickled_copy_is_read_only_too(self, record):
        back = pickle.loads(pickle.dumps(record))
        same(record, back)
        for array in arrays_of(back).values():
            assert not array.flags.writeable

    def test_copies(self, record):
        same(record, copy.copy(record))
        same(record, copy.deepcopy(record))

    def test_replace_changes_one_field_and_checks_it(self, record):
        changed = dataclasses.replace(record, dt=0.5)
        assert changed.dt == 0.5
        assert np.array_equal(changed.A, record.A)
        with pytest.raises(ValueError, match=r"`C` must have shape \(any, 2\)"):
            dataclasses.replace(record, C=np.ones((3, 4)))

    def test_equality_is_identity(self, record):
        assert record == record
        assert record != dataclasses.replace(record)


def test_repr_says_sizes_and_time():
    linear, gaussian, *_ = records()
    assert repr(linear) == "LinearSSM(2 states, 1 input, 3 outputs, dt=0.1)"
    assert repr(gaussian) == "GaussianSSM(2 states, 1 input, 3 outputs, dt=0.1)"
    assert repr(CovarianceModel([[-1.0]], [[1.0]], [[1.0]], [[2.0]], dt=0.0)) == (
        "CovarianceModel(1 state, 0 inputs, 1 output, continuous time)"
    )


def test_inputs_are_copied_and_left_alone():
    given = {"A": A.copy(), "B": B.copy(), "C": np.asfortranarray(C)}
    before = {name: value.copy() for name, value in given.items()}
    model = LinearSSM(**given)
    for name, value in given.items():
        assert np.array_equal(value, before[name])
        assert not np.shares_memory(value, getattr(model, name))
        value[...] = 7.0
    assert np.array_equal(model.A, before["A"])


def test_defaults():
    model = GaussianSSM(A, C, Q, R)
    assert model.dt == 1.0
    assert model.P0 is None
    assert np.array_equal(model.S, np.zeros((2, 3)))
    assert np.array_equal(model.m0, np.zeros(2))
    assert model.B.shape == (2, 0)
    assert model.D.shape == (3, 0)
    assert np.array_equal(LinearSSM(A, B, C).D, np.zeros((3, 1)))
    assert np.array_equal(InnovationSSM(A, C, K, R).x0, np.zeros(2))


def test_feedthrough_alone_makes_inputs():
    model = InnovationSSM(A, C, K, R, D=D)
    assert np.array_equal(model.B, np.zeros((2, 1)))
    assert model.n_inputs == 1


def test_order_zero_and_no_inputs():
    gain = LinearSSM(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((3, 0)), np.ones((3, 2)))
    assert (gain.n_states, gain.n_inputs, gain.n_outputs) == (0, 2, 3)
    white = GaussianSSM(np.zeros((0, 0)), np.zeros((1, 0)), np.zeros((0, 0)), [[2.0]])
    assert (white.n_states, white.n_inputs) == (0, 0)
    assert LinearSSM(A, np.zeros((2, 0)), C).n_inputs == 0


def test_complex_coordinates_are_kept():
    model = LinearSSM([[0.5j]], [[1.0]], [[1.0]])
    assert model.A.dtype == complex
    assert model.B.dtype == float


def test_covariances_are_symmetrised_exactly():
    rounded = Q + np.array([[0.0, 1e-12], [0.0, 0.0]])
    kept = GaussianSSM(A, C, rounded, R).Q
    assert np.array_equal(kept, kept.T)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearSSM(np.ones((2, 3)), B, C), r"`A` must be a square matrix; got shape"),
        (
            lambda: LinearSSM(A, B.T, C),
            r"`B` must have shape \(2, any\) to match `A` \(2, 2\); got",
        ),
        (
            lambda: LinearSSM(A, B, C.T),
            r"`C` must have shape \(any, 2\) to match `A` \(2, 2\); got",
        ),
        (lambda: LinearSSM(A, B, C, D.T), r"`D` must have shape \(3, 1\) to match `C` \(3, 2\)"),
        (lambda: LinearSSM(A, B, np.zeros((0, 2))), "`C` must have at least one row"),
        (lambda: LinearSSM([[np.nan]], [[1]], [[1]]), r"`A` must be finite; found NaN, first at"),
        (lambda: LinearSSM([[np.inf]], [[1]], [[1]]), r"`A` must be finite; found inf, first at"),
        (lambda: LinearSSM(A, B, C, dt=-1.0), "`dt` must be finite and non-negative; got -1"),
        (lambda: LinearSSM(A, B, C, dt=np.nan), "`dt` must be finite and non-negative; got nan"),
        (lambda: GaussianSSM(A, C, np.eye(3), R), r"`Q` must have shape \(2, 2\) to match `A`"),
        (lambda: GaussianSSM(A, C, Q + np.triu(Q, 1), R), "`Q` must be symmetric"),
        (lambda: GaussianSSM(A, C, Q, np.eye(2)), r"`R` must have shape \(3, 3\) to match `C`"),
        (lambda: GaussianSSM(A, C, Q, R, S.T), r"`S` must have shape \(2, 3\) to match `A`"),
        (lambda: GaussianSSM(A, C, -Q, R), r"`\[\[Q, S\], \[S.T, R\]\]` must be positive semi"),
        (lambda: GaussianSSM(A, C, Q, R, 100 * S), "must be positive semidefinite; its smallest"),
        (lambda: GaussianSSM(A, C, Q, R, D=D.T), r"`D` must have shape \(3, any\) to match `C`"),
        (lambda: GaussianSSM(A, C, Q, R, B=B.T), r"`B` must have shape \(2, any\) to match `A`"),
        (lambda: GaussianSSM(A, C, Q, R, m0=[1.0]), r"`m0` must have shape \(2,\) to match `A`"),
        (lambda: GaussianSSM(A, C, Q, R, P0=np.eye(3)), r"`P0` must have shape \(2, 2\)"),
        (lambda: GaussianSSM(A, C, Q, R, P0=-np.eye(2)), "`P0` must be positive semidefinite"),
        (lambda: InnovationSSM(A, C, K.T, R), r"`K` must have shape \(2, 3\) to match `A`"),
        (lambda: InnovationSSM(A, C, K, -R), "`Re` must be positive semidefinite"),
        (lambda: InnovationSSM(A, C, K, R, x0=[1.0]), r"`x0` must have shape \(2,\) to match `A`"),
        (lambda: CovarianceModel(A, C, C, R), r"`N` must have shape \(2, 3\) to match `A`"),
        (lambda: LinearSSM(A, B, C, dt=10**400), "`dt` must be finite"),
        (lambda: LinearSSM(np.ma.masked_less(A, 0.2), B, C), "2 masked entries.*fill or leave out"),
        (lambda: CovarianceModel(A, C, C.T, -R), "`Lambda0` must be positive semidefinite"),
    ],
)
def test_wrong_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearSSM([["a"]], [[1]], [[1]]), "`A` must be numeric; got dtype"),
        (lambda: LinearSSM([[1.0], [1.0, 2.0]], [[1]], [[1]]), "`A` must be a numeric array"),
        (lambda: LinearSSM(A, B, C, dt=True), "`dt` must be a number"),
        (lambda: LinearSSM(A, B, C, dt=None), "`dt` must be a number"),
        (lambda: LinearSSM(A, None, C), "`B` must be numeric; got dtype object"),
    ],
)
def test_wrong_kinds_are_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(("pole", "dt"), [(1.0, 1.0), (1.5, 0.1), (0.0, 0.0), (0.3, 0.0)])
def test_no_stationary_covariance_without_stability(pole, dt):
    with pytest.raises(UnstableModelError, match="`P0` may be left out only for a stable") as error:
        GaussianSSM([[pole]], [[1.0]], [[1.0]], [[1.0]], dt=dt)
    assert error.value.stability_margin == pytest.approx(-pole if dt == 0.0 else 1 - pole)
    assert GaussianSSM([[pole]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]], dt=dt).n_states == 1
    with pytest.raises(UnstableModelError, match="`A` of a CovarianceModel must be stable"):
        CovarianceModel([[pole]], [[1.0]], [[1.0]], [[9.0]], dt=dt)


@pytest.mark.parametrize("name", ["A", "B", "C", "D", "K", "x0"])
def test_entries_whose_squares_overflow_are_refused(name):
    fields = {"A": A, "C": C, "K": K, "Re": R, "B": B, "D": D, "x0": np.ones(2)}
    with pytest.raises(
        ValueError, match=rf"`{name}` must have entries whose squares.* size 2e\+200"
    ):
        InnovationSSM(**(fields | {name: np.full(np.shape(fields[name]), 2e200)}))


def test_covariances_may_be_the_squares_of_large_numbers():
    assert GaussianSSM([[0.5]], [[1e150]], [[1.0]], [[1e300]], P0=[[1.0]]).R[0, 0] == 1e300
