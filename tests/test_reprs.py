"""What a notebook shows of every public object: one line, its sizes, the number that matters."""

import inspect
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from systems import random_linear
from test_public_api import DOCUMENTED, load

import canonical_forms
import diffusion
import identification
import realization
from identification import dynamic_texture
from realization.internal import counted, outputs_and_inputs, sized

LONGEST = 150  # characters
U = np.random.default_rng(0).standard_normal((300, 1))
PLANT = realization.InnovationSSM([[0.8]], [[1.0]], [[0.5]], [[0.1]], B=[[1.0]])
Y = realization.simulate(PLANT, U, noise=True, rng=1).y
LINEAR = realization.LinearSSM(PLANT.A, PLANT.B, PLANT.C)
GAUSSIAN = realization.to_gaussian(PLANT)
COVARIANCE = realization.CovarianceModel([[0.5]], [[1.0]], [[0.9]], [[1.0]])
CLIP = np.random.default_rng(2).integers(0, 256, (12, 6, 8), dtype=np.uint8)


def tracker():
    """Return a tracker that has seen one sample."""
    made = identification.RecursiveSubspace(1, 1, order=1, past=5)
    made.update(Y[0], U[0])
    return made


def writer():
    """Return the writer of a film of one frame."""
    with (
        tempfile.TemporaryDirectory() as folder,
        dynamic_texture.open_writer(Path(folder) / "film.gif", (6, 8, 1), 25.0) as made,
    ):
        made.write(CLIP[:1, ..., np.newaxis])
    return made


def mixture():
    """Return a mixture of one component."""
    return diffusion.GaussianMixture([1.0], [[0.0]], np.ones((1, 1, 1)))


def texture():
    """Return the texture of a clip of noise."""
    return dynamic_texture.learn(CLIP, 1)


def bmojo(name):
    """Return an object of the torch bridge, by the name of its class."""
    module = load("canonical_forms.bmojo")
    torch = pytest.importorskip("torch")
    if name == "FadingMemory":
        return module.FadingMemory(1, 1, (1, 0))
    layer = module.BMojoLayer(1, 1, (1, 0), window=1, eidetic=1, target="input")
    stack = module.BMojoStack([layer])
    tokens = torch.randn(2, 60, 1, generator=torch.Generator().manual_seed(0))
    made = {
        "BMojoLayer": lambda: layer,
        "BMojoStack": lambda: stack,
        "BMojoOutput": lambda: layer(tokens),
        "BMojoState": lambda: layer(tokens).state,
        "StackOutput": lambda: stack(tokens),
        "Whiteness": lambda: stack.whiteness(tokens)[0],
    }
    return made[name]()


# class: an instance whose counts are 1 where they can be, and its repr where it is short and stable
MADE = {
    "LinearSSM": (lambda: LINEAR, "LinearSSM(1 state, 1 input, 1 output, dt=1)"),
    "GaussianSSM": (lambda: GAUSSIAN, "GaussianSSM(1 state, 1 input, 1 output, dt=1)"),
    "InnovationSSM": (lambda: PLANT, "InnovationSSM(1 state, 1 input, 1 output, dt=1)"),
    "CovarianceModel": (lambda: COVARIANCE, "CovarianceModel(1 state, 0 inputs, 1 output, dt=1)"),
    "BilinearSSM": (
        lambda: realization.BilinearSSM(PLANT.A, np.zeros((1, 1, 1)), PLANT.B, PLANT.C),
        "BilinearSSM(1 state, 1 input, 1 output, dt=1)",
    ),
    "Simulation": (lambda: realization.simulate(PLANT, U), "Simulation(y[300, 1])"),
    "Forecast": (
        lambda: realization.forecast(PLANT, Y, U, steps=1, u_future=[[0.0]]),
        "Forecast(mean[1, 1], standard deviation up to 0.316)",
    ),
    "FilterResult": (
        lambda: realization.kalman_filter(PLANT, 0 * Y[:2], 0 * U[:2]),
        "FilterResult(x_filt[2, 1], innovations[2, 1], log-likelihood 0.464708)",
    ),
    "SmootherResult": (
        lambda: realization.smooth(GAUSSIAN, Y, U),
        "SmootherResult(x[301, 1], P[301, 1, 1])",
    ),
    "KalmanPath": (
        lambda: realization.scan.kalman_scan(*([[1.0]],) * 4, None, [[0.0]], [0.0], [[0.0]]),
        "KalmanPath(x[2, 1], P[2, 1, 1], K[1, 1, 1], log-likelihood -0.918939)",
    ),
    "PositiveRealTest": (
        lambda: realization.is_positive_real(COVARIANCE),
        "PositiveRealTest(ok=False, margin=-0.2, frequency=3.142)",
    ),
    "PositiveRealRepair": (
        lambda: realization.make_positive_real(COVARIANCE)[1],
        "PositiveRealRepair(white_noise, lift=0.2, scale=1, margin=-0.2, frequency=3.142)",
    ),
    "CanonicalForm": (lambda: canonical_forms.schur_form(LINEAR), ""),
    "BMojoLayer": (lambda: bmojo("BMojoLayer"), ""),
    "BMojoStack": (lambda: bmojo("BMojoStack"), ""),
    "BMojoOutput": (lambda: bmojo("BMojoOutput"), ""),
    "BMojoState": (lambda: bmojo("BMojoState"), ""),
    "FadingMemory": (lambda: bmojo("FadingMemory"), ""),
    "StackOutput": (lambda: bmojo("StackOutput"), "StackOutput(y[2, 60, 1], 1 layer)"),
    "Whiteness": (lambda: bmojo("Whiteness"), ""),
    "BackwardSSM": (
        lambda: diffusion.backward_model(GAUSSIAN, steps=1, u=U[:1]),
        "BackwardSSM(1 state, 1 output, 1 step, dt=1)",
    ),
    "LinearSDE": (lambda: diffusion.LinearSDE([[-1.0]], [[1.0]]), "LinearSDE(1 state)"),
    "OrnsteinUhlenbeck": (
        lambda: diffusion.OrnsteinUhlenbeck(1.0, 1.0),
        "OrnsteinUhlenbeck(1 state)",
    ),
    "VariancePreserving": (diffusion.VariancePreserving, "VariancePreserving(1 state)"),
    "VarianceExploding": (diffusion.VarianceExploding, "VarianceExploding(1 state)"),
    "SubVariancePreserving": (diffusion.SubVariancePreserving, "SubVariancePreserving(1 state)"),
    "CriticallyDampedLangevin": (
        diffusion.CriticallyDampedLangevin,
        "CriticallyDampedLangevin(2 states)",
    ),
    "GaussianMixture": (mixture, "GaussianMixture(1 component, 1 state)"),
    "ReverseSDE": (
        lambda: diffusion.reverse_time_sde(lambda x, t: x, [[1.0]], lambda x, t: -x),
        "ReverseSDE(drift(x, t), diffusion(x, t))",
    ),
    "ImpulseResponse": (lambda: identification.regularized_fir(Y, U, lags=5), ""),
    "IdentificationResult": (lambda: identification.subspace_id(Y, U, 1), ""),
    "PoleUncertainty": (
        lambda: identification.pole_uncertainty(identification.pem(PLANT, Y, U)),
        "",
    ),
    "FrequencyResponseUncertainty": (
        lambda: identification.frequency_response_uncertainty(
            identification.pem(PLANT, Y, U), [0.1, 1.0]
        ),
        "",
    ),
    "ImpulseResponseUncertainty": (
        lambda: identification.impulse_response_uncertainty(identification.pem(PLANT, Y, U), 3),
        "",
    ),
    "Bootstrap": (
        lambda: identification.Bootstrap(identification.subspace_id(Y, U, 1), (PLANT,), 0),
        "Bootstrap(1 model, 0 failed)",
    ),
    "OrderTable": (
        lambda: identification.subspace_id(Y, U, 1, past=3, future=3).order_table,
        "OrderTable(orders 0 to 2, 1 given)",
    ),
    "Comparison": (lambda: identification.compare({"plant": PLANT}, Y, U), ""),
    "ResidualTests": (lambda: identification.residual_tests(PLANT, Y, U), ""),
    "Experiments": (
        lambda: identification.Experiments.from_data(Y[:1], U[:1]),
        "Experiments(1 experiment of 1 sample, outputs ['y'], inputs ['u'], dt=1)",
    ),
    "HankelFactor": (
        lambda: identification.HankelFactor(1, 1, past=1, future=2).update(Y[:1], U[:1]),
        "HankelFactor(1 output, 1 input, past=1, future=2, 1 sample)",
    ),
    "SubspaceID": (identification.SubspaceID, "SubspaceID()"),
    "RecursiveSubspace": (tracker, ""),
    "Excitation": (lambda: identification.persistence_of_excitation(U, order=5), ""),
    "DynamicTexture": (texture, "DynamicTexture(1 state, 6 x 8, 25 fps)"),
    "TextureMetrics": (lambda: dynamic_texture.evaluate(texture(), CLIP), ""),
    "FrameSource": (
        lambda: dynamic_texture.read_video(CLIP[:1]),
        "FrameSource(1 frame of 6 x 8 x 1, uint8, 25 fps)",
    ),
    "VideoWriter": (writer, "VideoWriter('film.gif', 1 frame of 6 x 8 x 1)"),
}
TREES = ("BMojoLayer", "BMojoStack")  # torch shows its modules as trees


@pytest.mark.parametrize("module", sorted(DOCUMENTED))
def test_every_public_class_is_looked_at(module):
    values = [getattr(load(module), name) for name in DOCUMENTED[module]]
    classes = [v for v in values if inspect.isclass(v) and not issubclass(v, BaseException)]
    assert {cls.__name__ for cls in classes} <= set(MADE)


def require_readable(text, tree=False):
    """Fail unless a person reads this text at a glance."""
    assert tree or (len(text) < LONGEST and "\n" not in text)
    assert not re.search(r"(array|tensor)\(| at 0x", text)
    assert not re.search(r"\b1 \w+s\b", text)


@pytest.mark.parametrize("name", MADE)
def test_repr_is_a_line_that_a_person_reads(name):
    make, expected = MADE[name]
    value = make()
    assert type(value).__name__ == name
    text = repr(value)
    require_readable(text, tree=name in TREES)
    assert text.startswith(f"{name}(")
    if expected:
        assert text == expected


def test_repr_stays_short_when_there_is_much():
    rng = np.random.default_rng(3)
    runs = [rng.standard_normal((length, 30)) for length in range(40, 60)]
    data = identification.Experiments.from_data(runs)
    assert (
        repr(data) == "Experiments(20 experiments of 40 to 59 samples, 30 outputs, 0 inputs, dt=1)"
    )
    large = random_linear(rng, 40, 3, 2)
    require_readable(repr(canonical_forms.modal_form(large)))
    require_readable(repr(canonical_forms.companion_form(random_linear(rng, 6, 1, 1))))


def test_counts_and_sizes():
    assert [counted(k, "state") for k in range(3)] == ["0 states", "1 state", "2 states"]
    assert counted(2, "entry", "entries") == "2 entries"
    assert outputs_and_inputs(1, 2) == "1 output and 2 inputs"
    assert sized(x=np.zeros((3, 1)), y=np.zeros(2)) == "x[3, 1], y[2]"
