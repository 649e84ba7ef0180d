"""A stack is its layers in a row; the whiteness test is that of statsmodels."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from canonical_forms.bmojo import BMojoLayer, BMojoStack, from_model  # noqa: E402
from realization import InnovationSSM, simulate  # noqa: E402

torch.set_num_threads(1)  # small tensors: threads cost more than they bring


def layers(count=2, d=3, **options):
    options = {"target": "input", "window": 3, "eidetic": 2, "threshold": 2.0} | options
    made = [BMojoLayer(d, d, (1, 1), dtype=torch.float64, **options) for _ in range(count)]
    for layer in made:
        layer.gate.data.normal_()
    return made


@pytest.mark.parametrize("normalize", [False, True])
def test_steps_give_what_the_sequence_gives(normalize):
    torch.manual_seed(0)
    stack = BMojoStack(layers(chunk=4), normalize=normalize)
    x = torch.randn(2, 25, 3, dtype=torch.float64)
    whole = stack(x)
    state, outputs = stack.initial_state(2), []
    for t in range(25):
        out = stack.step(x[:, t], state)
        state = out.state
        outputs.append(out.y)
    assert (torch.stack(outputs, 1) - whole.y).abs().max() < 1e-12 * whole.y.abs().max()
    first = stack(x[:, :11])
    second = stack(x[:, 11:], first.state)
    joined = torch.cat([first.y, second.y], 1)
    assert (joined - whole.y).abs().max() < 1e-12 * whole.y.abs().max()
    assert len(whole.innovations) == len(whole.selected) == len(whole.state) == 2


def test_one_layer_is_residual():
    torch.manual_seed(0)
    (layer,) = layers(1)
    x = torch.randn(1, 20, 3, dtype=torch.float64)
    assert torch.equal(BMojoStack([layer])(x).y, x + layer(x).y)


def test_statistic_is_that_of_statsmodels():
    statistics = pytest.importorskip("statsmodels.stats.diagnostic")
    torch.manual_seed(0)
    stack = BMojoStack(layers(1, d=1))
    x = torch.randn(1, 300, 1, dtype=torch.float64)
    e = stack(x).innovations[0][0, :, 0].detach().numpy()
    table = statistics.acorr_ljungbox(e - e.mean(), lags=[12])
    found = stack.whiteness(x, lags=12)[0]
    assert found.statistic == pytest.approx(float(table["lb_stat"].iloc[0]), rel=1e-10)
    assert found.p_value == pytest.approx(float(table["lb_pvalue"].iloc[0]), rel=1e-8)
    assert found.degrees == 12


def test_the_right_model_leaves_white_innovations():
    rng = np.random.default_rng(1)
    A, K = np.array([[0.8, 0.4], [-0.4, 0.8]]), np.array([[0.5, 0.1], [-0.2, 0.4]])
    model = InnovationSSM(A, np.eye(2), K, np.diag([1.0, 4.0]))
    y = torch.as_tensor(simulate(model, steps=4000, noise=True, rng=rng).y)[None]
    right = from_model(model, window=0, eidetic=0, dtype=torch.float64)
    wrong = from_model(
        InnovationSSM(0.5 * A, np.eye(2), K, np.eye(2)), window=0, eidetic=0, dtype=torch.float64
    )
    good = BMojoStack([right]).whiteness(y)[0]
    bad = BMojoStack([wrong]).whiteness(y)[0]
    # Chi-squared with f degrees of freedom: mean f, standard deviation sqrt(2 f).
    assert abs(good.statistic - good.degrees) < 4 * (2 * good.degrees) ** 0.5
    assert bad.p_value < 1e-12


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one BMojoLayer; got none"):
        BMojoStack([])
    with pytest.raises(TypeError, match="`layers` must be BMojoLayers; got int"):
        BMojoStack(3)
    with pytest.raises(TypeError, match=r"`layers\[0\]` must be a BMojoLayer; got Linear"):
        BMojoStack([torch.nn.Linear(2, 2)])
    odd = BMojoLayer(3, 2, (0, 1), target="input")
    with pytest.raises(ValueError, match=r"`layers\[1\]` must have 3 inputs, 3 outputs"):
        BMojoStack([*layers(1), odd])
    stack = BMojoStack(layers(1))
    with pytest.raises(ValueError, match="less than the 5 tokens of a sequence; got 5"):
        stack.whiteness(torch.zeros(1, 5, 3), lags=5)
