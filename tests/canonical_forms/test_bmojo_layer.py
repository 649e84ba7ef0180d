"""The layer: one token at a time or all at once, causal, stable, exact, deployable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from canonical_forms.bmojo import BMojoLayer, FadingMemory  # noqa: E402
from canonical_forms.bmojo.contraction import contraction_coordinates  # noqa: E402
from realization import LinearSSM, UnstableModelError, markov_parameters  # noqa: E402

torch.set_num_threads(1)  # small tensors: threads cost more than they bring
CHECKED = settings(max_examples=25, deadline=None, derandomize=True)
LAYERS = {
    "diagonal": {"modes": (1, 2)},
    "real only": {"modes": (3, 0)},
    "order 0": {"modes": (0, 0)},
    "delays": {"modes": (0, 1), "delay_taps": 3, "predictor_taps": 2},
    "blocks": {"modes": (3, 1), "parameterization": "block"},
    "gated": {"modes": (1, 1), "gated": 2},
    "gated blocks": {"modes": (2, 2), "parameterization": "block", "gated": 1},
    "more outputs": {"n_outputs": 5, "chunk": 3},
    "square": {"n_outputs": 3, "n_heads": 2, "chunk": 7},
    "predicts tokens": {"target": "input", "chunk": 4},
    "no slots": {"eidetic": 0},
    "linear": {"window": 0, "eidetic": 0},
}
EACH = pytest.mark.parametrize("name", LAYERS)


def build(name, seed=0, dtype=torch.float64):
    """Return a layer with all of its parameters at work."""
    torch.manual_seed(seed)
    options = {"n_inputs": 3, "n_outputs": 2, "modes": (1, 2), "window": 3, "eidetic": 3}
    layer = BMojoLayer(**options | {"threshold": 1.0, "dtype": dtype} | LAYERS[name])
    for part in (layer.memory, layer.predictor):
        part.taps.data.normal_()
        part.x0.normal_()
        part.taps0.normal_()
        if part.gates is not None:
            part.gates.data.normal_(0, 0.02)
    if layer.gate is not None:
        layer.gate.data.normal_()
    return layer


def signals(layer, length, batch=2):
    """Return tokens and the target, None where the tokens are the target."""
    x = torch.randn(batch, length, layer.n_inputs, dtype=layer.S_chol.dtype)
    if layer.target == "input":
        return x, None
    return x, torch.randn(batch, length, layer.n_outputs, dtype=layer.S_chol.dtype)


def part_of(signal, *index):
    return None if signal is None else signal[(slice(None), *index)]


def flat(state):
    """Return all tensors of a state."""
    return [
        tensor
        for part in state
        for tensor in (part if isinstance(part, tuple) else (part,))
    ]  # fmt: skip


def assert_same(first, second, tol):
    for one, two in zip(flat(first), flat(second), strict=True):
        assert one.shape == two.shape
        assert one.dtype == two.dtype
        torch.testing.assert_close(one, two, rtol=tol, atol=tol)


def stepped(layer, x, y, state):
    """Return outputs, selections and the state of one token at a time."""
    outputs, selected = [], []
    for t in range(x.shape[1]):
        out = layer.step(x[:, t], state, part_of(y, t))
        outputs.append(out.y)
        selected.append(out.selected)
        state = out.state
    return torch.stack(outputs, 1), torch.stack(selected, 1), state


@EACH
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_steps_give_what_the_sequence_gives(name, dtype, tol):
    layer = build(name, dtype=dtype)
    x, y = signals(layer, 40)
    score = layer.surprise(layer(x, y=y).innovation.detach()).flatten().sort().values
    layer.threshold = float(score[39:41].mean())  # between two scores: half of the tokens pass
    whole = layer(x, y=y)
    outputs, selected, state = stepped(layer, x, y, layer.initial_state(2))
    scale = max(1.0, float(whole.y.detach().abs().max()))
    assert (outputs - whole.y).abs().max() <= tol * scale
    assert torch.equal(selected, whole.selected)
    assert_same(state, whole.state, 10 * tol)
    assert selected.sum() == 40


@EACH
@settings(CHECKED, max_examples=4)
@given(seed=st.integers(0, 2**31), data=st.data())
def test_split_anywhere(name, seed, data):
    layer = build(name, seed)
    length = data.draw(st.integers(2, 25))
    cut = data.draw(st.integers(1, length - 1))
    x, y = signals(layer, length, batch=1)
    whole = layer(x, y=y)
    first = layer(x[:, :cut], y=part_of(y, slice(cut)))
    second = layer(x[:, cut:], first.state, part_of(y, slice(cut, None)))
    joined = torch.cat([first.y, second.y], 1)
    assert (joined - whole.y).abs().max() <= 1e-11 * (1 + whole.y.abs().max())
    assert torch.equal(torch.cat([first.selected, second.selected], 1), whole.selected)
    assert_same(second.state, whole.state, 1e-10)


@EACH
@pytest.mark.parametrize("scan", ["loop", "blocked"])
def test_no_output_and_no_decision_looks_ahead(name, scan):
    layer = build(name)
    layer.memory.scan = layer.predictor.scan = scan
    x, y = signals(layer, 30)
    whole = layer(x, y=y)
    for j in (0, 1, 7, 29):
        x2, y2 = x.clone(), None if y is None else y.clone()
        x2[:, j:] += 1e3 * torch.randn_like(x[:, j:])
        if y2 is not None:
            y2[:, j:] -= 1e3
        other = layer(x2, y=y2)
        assert torch.equal(other.y[:, :j], whole.y[:, :j])
        assert torch.equal(other.selected[:, :j], whole.selected[:, :j])
        assert torch.equal(other.innovation[:, :j], whole.innovation[:, :j])
        assert not torch.equal(other.y[:, j:], whole.y[:, j:])


def test_target_enters_only_through_the_choice():
    layer = build("diagonal")
    x, y = signals(layer, 20)
    layer.threshold = float("inf")
    assert torch.equal(layer(x, y=y).y, layer(x).y)
    assert layer(x).innovation is None
    assert not layer(x).selected.any()


@pytest.mark.parametrize("name", ["diagonal", "delays", "blocks", "gated", "predicts tokens"])
def test_gradients_agree_with_differences(name):
    layer = build(name)
    x, y = signals(layer, 7, batch=1)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def run(*values):
        out = torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, None, y))
        return out.y, out.innovation

    layer.threshold = float("inf")  # the choice is a step function
    assert torch.autograd.gradcheck(run, parameters, fast_mode=True)
    layer.threshold = 0.0
    first = layer(x, y=y)
    assert first.selected.all()
    (first.y.sum() + first.innovation.sum()).backward()
    assert all(p.grad.isfinite().all() for p in parameters if p.numel())


@pytest.mark.parametrize(
    "name",
    [
        "square",
        "linear",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("delays", "blocks", "gated", "gated blocks", "predicts tokens", "no slots")
        ),
    ],
)
def test_step_exports(name):
    layer = build(name)
    x, y = signals(layer, 12)
    state = layer.initial_state(2)
    arguments = (x[:, 0], state) if y is None else (x[:, 0], state, y[:, 0])
    exported = torch.export.export(_Step(layer), arguments)
    for node in exported.graph.nodes:
        value = node.meta.get("val")
        assert not (isinstance(value, torch.Tensor) and value.is_complex())  # ONNX has none
    program = exported.module()
    for t in range(12):
        arguments = (x[:, t], state) if y is None else (x[:, t], state, y[:, t])
        expected = layer.step(*arguments)
        out = program(*arguments)
        assert (out[0] - expected.y).abs().max() < 1e-12
        assert_same(out[1], expected.state, 1e-12)
        state = expected.state


class _Step(torch.nn.Module):
    """A module whose forward is the step of a layer, as torch.export asks for."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, state, y=None):
        return self.layer.step(x, state, y)


@pytest.mark.parametrize("scan", ["auto", "loop", "blocked", "associative"])
def test_scans_agree(scan):
    layer = build("diagonal")
    x, y = signals(layer, 100)
    expected = layer(x, y=y)
    layer.memory.scan = layer.predictor.scan = scan
    assert (layer(x, y=y).y - expected.y).abs().max() < 1e-12


def test_autocast_leaves_the_recurrence_and_the_choice_alone():
    layer = build("diagonal", dtype=torch.float32)
    x, y = signals(layer, 50)
    expected = layer(x, y=y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, y=y)
        token = layer.step(x[:, 0], layer.initial_state(2), y[:, 0])
    assert torch.equal(out.innovation, expected.innovation)
    assert torch.equal(out.selected, expected.selected)
    assert torch.equal(out.state.memory.modes, expected.state.memory.modes)
    assert (out.y - expected.y).abs().max() < 0.1 * expected.y.abs().max()
    assert token.y.isfinite().all()


def test_a_closed_gate_leaves_the_model_and_lets_gradients_through():
    layer = build("diagonal")
    layer.gate.data.zero_()
    x, y = signals(layer, 30)
    out = layer(x, y=y)
    assert torch.equal(out.y, layer.memory(x)[0])
    out.y.square().sum().backward()
    assert layer.gate.grad.abs().min() > 0


def test_selected_fraction_is_alpha_for_gaussian_innovations():
    torch.manual_seed(0)
    layer = BMojoLayer(1, 2, (0, 0), eidetic=0, alpha=0.05, dtype=torch.float64)
    layer.predictor.D.data.zero_()
    root = torch.tensor([[2.0, 0.0], [1.0, 0.5]], dtype=torch.float64)
    y = torch.randn(4, 5000, 2, dtype=torch.float64) @ root.mT
    x = torch.randn(4, 5000, 1, dtype=torch.float64)
    count = y.shape[0] * y.shape[1]
    layer.S_chol.copy_(root)
    fraction = float(layer(x, y=y).selected.double().mean())
    assert abs(fraction - 0.05) < 4 * (0.05 * 0.95 / count) ** 0.5
    layer.calibrate(x, y)
    # Entries of a sample covariance: relative standard deviation at most sqrt(2 / count).
    assert (layer.S_chol - root).abs().max() < 4 * 2 * (2 / count) ** 0.5


def test_no_inputs():
    layer = BMojoLayer(0, 2, (1, 1), window=0, eidetic=0, dtype=torch.float64)
    layer.memory.x0.fill_(1.0)
    out = layer(torch.zeros(1, 6, 0, dtype=torch.float64), y=torch.zeros(1, 6, 2))
    A, C = (part.detach().numpy() for part in (layer.memory.matrix(), layer.memory.C))
    free = np.array([C @ np.linalg.matrix_power(A, t) @ np.ones(3) for t in range(6)])
    np.testing.assert_allclose(out.y[0].detach().numpy(), free, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
def test_config_rebuilds_the_layer(name):
    layer = build(name)
    copy = BMojoLayer(**layer.config())
    assert copy.config() == layer.config()
    copy.load_state_dict(layer.state_dict())
    x, y = signals(layer, 10)
    assert torch.equal(copy(x, y=y).y, layer(x, y=y).y)
    assert repr(copy) == repr(layer)


def test_parameters_of_the_dynamics_are_marked_for_the_optimizer():
    layer = build("gated blocks")
    marked = {name for name, p in layer.named_parameters() if getattr(p, "_no_weight_decay", False)}
    kinds = ("blocks", "B", "taps", "gates")
    assert marked == {f"{part}.{k}" for part in ("memory", "predictor") for k in kinds}


# -- the fading memory ---------------------------------------------------------------------------


@CHECKED
@given(seed=st.integers(0, 2**31), block=st.booleans(), scale=st.floats(0.1, 30.0))
def test_no_parameters_make_it_unstable(seed, block, scale):
    torch.manual_seed(seed)
    modes, kind = ((4, 3, 1), "block") if block else ((2, 3), "diagonal")
    memory = FadingMemory(2, 2, modes, parameterization=kind, dtype=torch.float64)
    names = ("blocks",) if block else ("nu_real", "nu", "theta")
    for name in names:
        getattr(memory, name).data.normal_(0, scale)
    poles = np.linalg.eigvals(memory.matrix().detach().numpy())
    assert np.abs(poles).max() <= 1


@CHECKED
@given(
    seed=st.integers(0, 2**31), m=st.integers(1, 3), p=st.integers(1, 3), block=st.booleans(),
    taps=st.integers(0, 3),
)  # fmt: skip
def test_impulse_response_is_that_of_its_matrices(seed, m, p, block, taps):
    torch.manual_seed(seed)
    modes, kind = ((3, 1), "block") if block else ((2, 1), "diagonal")
    memory = FadingMemory(m, p, modes, parameterization=kind, delay_taps=taps, dtype=torch.float64)
    memory.taps.data.normal_()
    u = torch.zeros(m, 20, m, dtype=torch.float64)
    u[range(m), 0, range(m)] = 1.0
    response = memory(u)[0].permute(1, 2, 0).detach().numpy()
    A, B, C, D = (part.detach().numpy() for part in (memory.matrix(), memory.B, memory.C, memory.D))
    expected = markov_parameters(LinearSSM(A, B, C, D), 20).copy()
    expected[1 : 1 + taps] += memory.taps.detach().numpy()
    np.testing.assert_allclose(response, expected, atol=1e-13)


def test_modes_are_set_exactly():
    memory = FadingMemory(1, 1, (4, 2), dtype=torch.float64)
    real, pairs = [0.5, -0.9, 0.0, 0.999999], [0.6 + 0.7j, -0.3 - 0.1j]
    memory.set_modes(real, pairs)
    found_real, found_pairs = (part.detach().numpy() for part in memory.eigenvalues())
    np.testing.assert_allclose(found_real, real, rtol=1e-15, atol=1e-300)
    np.testing.assert_allclose(found_pairs, pairs, rtol=1e-15)


@CHECKED
@given(
    seed=st.integers(0, 2**31),
    r=st.integers(0, 6),
    radius=st.sampled_from([0.0, 0.3, 0.9, 0.9999]),
    defective=st.booleans(),
)
def test_every_stable_matrix_has_contraction_coordinates(seed, r, radius, defective):
    rng = np.random.default_rng(seed)
    if defective:
        A = radius * np.eye(r) + np.triu(rng.standard_normal((r, r)), 1)
    else:
        A = rng.standard_normal((r, r))
        A = A * radius / np.abs(np.linalg.eigvals(A)).max(initial=1e-9)
    contraction, T, Tinv = contraction_coordinates(A)
    if r == 0:
        assert contraction.shape == (0, 0)
        return
    assert np.linalg.norm(contraction, 2) < 1
    back = T @ contraction @ Tinv
    np.testing.assert_allclose(back, A, atol=1e-11 * np.linalg.norm(A))
    memory = FadingMemory(1, 1, (r,), parameterization="block", dtype=torch.float64)
    memory.set_blocks([contraction])
    stored = memory.matrix().detach().numpy()
    np.testing.assert_allclose(stored, contraction, rtol=1e-9, atol=1e-14)


def test_gated_memory_is_bilinear():
    torch.manual_seed(0)
    for modes, kind in (((1, 1), "diagonal"), ((2, 1), "block")):
        memory = FadingMemory(3, 2, modes, parameterization=kind, gated=2, dtype=torch.float64)
        memory.gates.data.normal_(0, 0.1)
        u = torch.randn(1, 15, 3, dtype=torch.float64)
        A, gates = memory.matrix(), memory.gates
        if kind == "diagonal":
            other = FadingMemory(1, 1, modes, dtype=torch.float64)
            N = []
            for lam in gates:
                a, b = lam[1], lam[2]
                N.append(torch.block_diag(lam[:1], torch.stack([a, -b, b, a]).view(2, 2)))
            assert other.n_states == 3
        else:
            N = list(gates)
        x, expected = torch.zeros(3, dtype=torch.float64), []
        for t in range(15):
            expected.append(memory.C @ x + memory.D @ u[0, t])
            turned = A + u[0, t, 0] * N[0] + u[0, t, 1] * N[1]
            x = turned @ x + memory.B @ u[0, t]
        y, state = memory(u)
        assert (y[0] - torch.stack(expected)).abs().max() < 1e-13
        assert (state.modes[0] - x).abs().max() < 1e-13


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"target": "future"}, "`target` must be one of 'output', 'input'; got 'future'"),
        ({"dtype": torch.bfloat16}, "`dtype` must be float32 or float64"),
        ({"n_inputs": 0}, "`n_inputs` must be at least 1; got 0"),
        ({"n_outputs": 0}, "`n_outputs` must be at least 1; got 0"),
        ({"window": -1}, "`window` must be at least 0; got -1"),
        ({"chunk": 0}, "`chunk` must be at least 1; got 0"),
        ({"window": 0}, "`eidetic` must be 0 without a window; got 32"),
        ({"tie_kv": True}, "`tie_kv` needs as many outputs as inputs; got 1 and 2"),
        ({"alpha": 1.0}, "`alpha` must be finite and between 0 and 1"),
        ({"parameterization": "dense"}, "`parameterization` must be one of 'diagonal', 'block'"),
        ({"modes": (1, 2, 3)}, r"`modes` must be \(n_real, n_pairs\)"),
        ({"modes": (0, 1), "parameterization": "block"}, "`modes` must be the positive block"),
        ({"gated": 3}, "`gated` must be at most n_inputs = 2; got 3"),
        ({"delay_taps": -1}, "`delay_taps` must be at least 0; got -1"),
    ],
)
def test_wrong_options(options, match):
    with pytest.raises(ValueError, match=match):
        BMojoLayer(**{"n_inputs": 2, "n_outputs": 1} | options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_inputs": 2.0}, "`n_inputs` must be an integer; got 2.0"),
        ({"window": "4"}, "`window` must be an integer; got '4'"),
        ({"n_heads": 1.5}, "`n_heads` must be an integer"),
        ({"alpha": "low"}, "`alpha` must be a real number"),
        ({"modes": 4}, "`modes` must be a sequence of integers; got 4"),
        ({"modes": (1, 2.5)}, "`modes` must be an integer; got 2.5"),
        ({"delay_taps": 1.0}, "`delay_taps` must be an integer"),
    ],
)
def test_options_of_a_wrong_kind(options, match):
    with pytest.raises(TypeError, match=match):
        BMojoLayer(**{"n_inputs": 2, "n_outputs": 1} | options)


def test_wrong_signals():
    layer = build("diagonal")
    x, y = signals(layer, 5)
    with pytest.raises(TypeError, match=r"`x` must be a torch.Tensor; got ndarray. Take"):
        layer(x.numpy())
    with pytest.raises(TypeError, match=r"`y` must be a torch.Tensor; got list"):
        layer(x, y=y.tolist())
    with pytest.raises(TypeError, match=r"`x` must be real; got torch.complex"):
        layer(x + 1j)
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, L, 3\); got \(2, 5, 2\)"):
        layer(y)
    with pytest.raises(ValueError, match=r"at least one token; its shape is \(2, 0, 3\)"):
        layer(x[:, :0])
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, 3\); got \(2, 5, 3\)"):
        layer.step(x, layer.initial_state(2))
    with pytest.raises(ValueError, match=r"`y` must have shape \(2, 5, 2\)"):
        layer(x, y=y[:, :4])
    with pytest.raises(ValueError, match="`y` is not used with target='input'"):
        build("predicts tokens")(x, y=y)
    with pytest.raises(ValueError, match="pass it to calibrate"):
        layer.calibrate(x)
    with pytest.raises(ValueError, match=r"singular covariance \(1 sample of 2 channels\)"):
        layer.calibrate(x[:1, :1], y[:1, :1])


def test_what_does_not_fade_is_refused():
    diagonal = FadingMemory(1, 1, (1, 1))
    block = FadingMemory(1, 1, (2,), parameterization="block")
    with pytest.raises(UnstableModelError, match="an eigenvalue has modulus 1, not below 1") as e:
        diagonal.set_modes([1.0], [0.5j])
    assert e.value.stability_margin == 0
    with pytest.raises(UnstableModelError, match=r"modulus 1\.5"):
        diagonal.set_modes([0.5], [1.5j])
    with pytest.raises(UnstableModelError, match=r"block 0 has modulus 2"):
        block.set_blocks([np.diag([0.1, 2.0])])
    with pytest.raises(UnstableModelError, match="the matrix has modulus 1"):
        contraction_coordinates(np.eye(2))
    with pytest.raises(ValueError, match="spectral norm below 1; got 5"):
        block.set_blocks([[[0.1, 5.0], [0.0, 0.1]]])
    with pytest.raises(ValueError, match=r"must be square of sizes \(2,\)"):
        block.set_blocks([np.eye(3)])
    with pytest.raises(ValueError, match="must have 1 and 1 eigenvalues; got 2 and 1"):
        diagonal.set_modes([0.1, 0.2], [0.1j])
    with pytest.raises(TypeError, match="is for diagonal memories"):
        block.set_modes([], [])
    with pytest.raises(TypeError, match="is for block memories"):
        diagonal.set_blocks([])


@pytest.mark.slow
@torch.no_grad()
def test_step_compiles():
    layer = build("diagonal")
    x, y = signals(layer, 3)
    step = torch.compile(layer.step, backend="aot_eager", fullgraph=True)
    state = layer.initial_state(2)
    for t in range(3):
        expected, out = layer.step(x[:, t], state, y[:, t]), step(x[:, t], state, y[:, t])
        assert (out.y - expected.y).abs().max() < 1e-12
        assert_same(out.state, expected.state, 1e-12)
        state = expected.state
