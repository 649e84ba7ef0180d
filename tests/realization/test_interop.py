"""To python-control and scipy.signal and back."""

import control
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation, random_linear

from realization import (
    CovarianceModel,
    GaussianSSM,
    LinearSSM,
    NumericalWarning,
    from_control,
    from_scipy,
    to_control,
    to_scipy,
)

systems = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(0, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.1, 1.0]),
)


def linear(seed, n, m, p, dt):
    plain = random_linear(np.random.default_rng(seed), n, m, p)
    return LinearSSM(plain.A, plain.B, plain.C, plain.D, dt=dt)


def assert_same(a, b):
    for name in "ABCD":
        assert np.array_equal(getattr(a, name), getattr(b, name))
    assert a.dt == b.dt


@settings(max_examples=40, deadline=None, derandomize=True)
@given(systems)
def test_round_trips(parameters):
    model = linear(*parameters)
    assert_same(from_control(to_control(model)), model)
    assert_same(from_scipy(to_scipy(model)), model)


def test_states_that_do_nothing_are_kept():
    model = LinearSSM([[0.5, 0.0], [0.0, 0.0]], [[1.0], [0.0]], [[1.0, 0.0]])
    assert to_control(model).nstates == 2


@pytest.mark.parametrize("dt", [0.0, 0.1])
def test_control_step_response(dt):
    model = LinearSSM([[-0.5]], [[1.0]], [[2.0]], [[1.0]], dt=dt)
    system = to_control(model)
    assert system.dt == dt
    assert system.isctime() == (dt == 0.0)
    expected = 1 + 2 / 0.5 if dt == 0.0 else 1 + 2 / 1.5
    assert system.dcgain() == pytest.approx(expected)


def test_scipy_classes():
    assert isinstance(to_scipy(linear(0, 2, 1, 1, 0.0)), scipy.signal.lti)
    discrete = to_scipy(linear(0, 2, 1, 1, 0.1))
    assert isinstance(discrete, scipy.signal.dlti)
    assert discrete.dt == 0.1


def test_complex_to_scipy():
    model = LinearSSM([[0.5j]], [[1.0]], [[1.0]])
    assert np.array_equal(from_scipy(to_scipy(model)).A, model.A)


class TestSampleTime:
    A, B, C, D = [[0.5]], [[1.0]], [[1.0]], [[0.0]]

    def test_control_does_not_say(self):
        system = control.ss(self.A, self.B, self.C, self.D, None)
        with pytest.raises(ValueError, match=r"`system` has dt = None: .* Pass dt=0"):
            from_control(system)
        assert from_control(system, dt=0.0).dt == 0.0
        assert from_control(system, dt=0.2).dt == 0.2

    def test_control_says_discrete(self):
        system = control.ss(self.A, self.B, self.C, self.D, True)
        assert from_control(system).dt == 1.0
        assert from_control(system, dt=0.2).dt == 0.2
        with pytest.raises(ValueError, match=r"`dt` must agree .* which has discrete time; got 0"):
            from_control(system, dt=0.0)

    def test_control_says_a_number(self):
        system = control.ss(self.A, self.B, self.C, self.D, 0.1)
        assert from_control(system, dt=0.1).dt == 0.1
        with pytest.raises(ValueError, match="`dt` must agree with the system, which has dt = 0"):
            from_control(system, dt=0.2)
        with pytest.raises(ValueError, match="which has dt = 0; got 0"):
            from_control(control.ss(self.A, self.B, self.C, self.D, 0), dt=0.2)

    def test_scipy(self):
        discrete = scipy.signal.StateSpace(self.A, self.B, self.C, self.D, dt=True)
        assert from_scipy(discrete).dt == 1.0
        assert from_scipy(discrete, dt=0.2).dt == 0.2
        continuous = scipy.signal.StateSpace(self.A, self.B, self.C, self.D)
        assert from_scipy(continuous).dt == 0.0
        with pytest.raises(ValueError, match="`dt` must agree with the system, which has dt = 0;"):
            from_scipy(continuous, dt=0.2)

    def test_dt_is_checked(self):
        system = control.ss(self.A, self.B, self.C, self.D, True)
        with pytest.raises(ValueError, match="`dt` must be finite and non-negative"):
            from_control(system, dt=-1.0)


class TestWhatIsLost:
    @pytest.mark.parametrize("convert", [to_control, to_scipy])
    def test_noise_is_said(self, convert):
        model = random_innovation(np.random.default_rng(0), 3, 2, 2)
        with pytest.warns(NumericalWarning, match="InnovationSSM only A, B, C, D") as w:
            system = convert(model)
        assert w[0].filename == __file__
        assert np.array_equal(system.B, model.B)

    def test_models_without_inputs(self):
        model = LinearSSM([[0.5]], np.zeros((1, 0)), [[1.0]])
        with pytest.raises(ValueError, match="`model` must have inputs: python-control cannot"):
            to_control(model)
        assert to_scipy(model).B.shape == (1, 0)

    def test_complex_models(self):
        with pytest.raises(TypeError, match="`model` must be real: python-control"):
            to_control(LinearSSM([[0.5j]], [[1.0]], [[1.0]]))


@pytest.mark.parametrize("convert", [to_control, to_scipy])
def test_wrong_records(convert):
    with pytest.raises(TypeError, match="`model` must be a LinearSSM or GaussianSSM or Innovation"):
        convert(CovarianceModel([[0.5]], [[1.0]], [[1.0]], [[2.0]]))


def test_wrong_systems():
    with pytest.raises(TypeError, match=r"got TransferFunction.*control\.ss\("):
        from_control(control.tf([1.0], [1.0, 2.0]))
    with pytest.raises(TypeError, match=r"must be a scipy.signal.StateSpace; .*to_ss\(\)"):
        from_scipy(scipy.signal.lti([1.0], [1.0, 2.0]))
    with pytest.raises(TypeError, match="got GaussianSSM"):
        from_control(GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]]))
