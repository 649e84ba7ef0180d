"""What a layer is called with: signals, states, devices and numbers that do not fit are named."""

import pytest

torch = pytest.importorskip("torch")

from canonical_forms.bmojo import BMojoLayer, BMojoStack, FadingMemory, load, save  # noqa: E402

torch.set_num_threads(1)  # small tensors: threads cost more than they bring
DOUBLE = {"dtype": torch.float64}


def build(**options):
    torch.manual_seed(0)
    layer = BMojoLayer(3, 2, (1, 2), **{"window": 4, "eidetic": 2, "chunk": 3} | DOUBLE | options)
    if layer.gate is not None:
        layer.gate.data.fill_(0.5)
    return layer


def tokens(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), **DOUBLE)


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (None, TypeError, r"`x` must be a torch\.Tensor; got NoneType"),
        ([[[1.0]]], TypeError, r"`x` must be a torch\.Tensor; got list"),
        (tokens(2, 5, 3) * 1j, TypeError, r"`x` must be real; got torch\.complex128"),
        (tokens(2, 5, 3).to_sparse(), TypeError, "`x` must be a dense tensor; got torch.sparse"),
        (tokens(2, 3), ValueError, r"`x` must have shape \(B, L, 3\); got \(2, 3\)"),
        (tokens(2, 5, 4), ValueError, r"`x` must have shape \(B, L, 3\); got \(2, 5, 4\)"),
        (tokens(0, 5, 3), ValueError, r"at least one token; its shape is \(0, 5, 3\)"),
        (tokens(2, 0, 3), ValueError, r"at least one token; its shape is \(2, 0, 3\)"),
        (tokens(2, 5, 3).to("meta"), ValueError, "`x` must be on cpu, .* it is on meta. Move one"),
        (tokens(2, 5, 3) * torch.inf, ValueError, r"`x` must be finite; found -?inf, first at"),
    ],
)
def test_wrong_tokens(x, error, match):
    square = {"n_outputs": 3, "target": "input"}
    stack = BMojoStack([BMojoLayer(3, **square | DOUBLE, modes=(0, 1), window=2, eidetic=1)])
    for call in (build(), stack, lambda x: stack.whiteness(x, lags=2), build().calibrate):
        with pytest.raises(error, match=match):
            call(x)
    with pytest.raises(error, match=match.replace("`x`", "`u`")):
        FadingMemory(3, 2, (1, 2), **DOUBLE)(x)


def test_the_first_missing_sample_is_named():
    layer, x, y = build(), tokens(2, 5, 3), tokens(2, 5, 2)
    x[1, 3, 2] = y[0, 4, 1] = torch.nan
    with pytest.raises(
        ValueError, match=r"`x` must be finite; found nan, first at index \(1, 3, 2"
    ):
        layer(x)
    with pytest.raises(
        ValueError, match=r"`y` must be finite; found nan, first at index \(0, 4, 1"
    ):
        layer(tokens(2, 5, 3), y=y)
    with pytest.raises(ValueError, match=r"`x` must be finite; found nan, first at index \(1, 2\)"):
        layer.step(x[:, 3], layer.initial_state(2))
    with pytest.raises(ValueError, match=r"`innovation` must be finite; found nan"):
        layer.surprise(y)
    with pytest.raises(
        ValueError, match=r"`innovation` must have shape \(\.\.\., 2\); got \(2, 5, 3"
    ):
        layer.surprise(x)


@pytest.mark.parametrize(
    "kind", [torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.uint8, torch.bool]
)
def test_tokens_of_any_real_type_are_taken(kind):
    layer, x = build(), (10 * tokens(2, 7, 3)).abs().to(kind)
    assert torch.equal(layer(x).y, layer(x.double()).y)
    square = {"target": "input", "window": 2, "eidetic": 1, "modes": (0, 1)}
    stack = BMojoStack([BMojoLayer(3, **square, **DOUBLE) for _ in range(2)], normalize=True)
    assert torch.equal(stack(x).y, stack(x.double()).y)


def test_tokens_may_lie_in_memory_as_they_like():
    layer, x = build(), tokens(3, 9, 2).permute(2, 1, 0)
    assert torch.equal(layer(x).y, layer(x.contiguous()).y)
    assert layer(tokens(1, 1, 3).requires_grad_()).y.requires_grad


def test_wrong_states():
    layer, x, y = build(), tokens(2, 5, 3), tokens(2, 5, 2)
    state = layer.initial_state(2)
    cases = [
        (3, TypeError, "`state` must be a BMojoState, from initial_state.* got int"),
        (tuple(state), TypeError, "`state` must be a BMojoState, .* got tuple"),
        (state.memory, TypeError, "must be a BMojoState, .* got FadingState"),
        (
            state._replace(memory=None),
            TypeError,
            r"`state\.memory` must be a FadingState.* NoneType",
        ),
        (state._replace(time=3), TypeError, r"`state\.time` must be a torch\.Tensor; got int"),
        (
            layer.initial_state(3),
            ValueError,
            r"`state\.memory\.modes` must be torch\.float64 of shape \(2, 5\) on cpu; got "
            r"torch\.float64 of shape \(3, 5\) on cpu\. A state serves the layer and the batch",
        ),
        (
            build(dtype=torch.float32).initial_state(2),
            ValueError,
            r"`state\.memory\.modes` must be torch\.float64 .* got torch\.float32",
        ),
        (
            build(window=6).initial_state(2),
            ValueError,
            r"`state\.window_keys` must be .*\(2, 4, 1, 8\) on cpu; got .*\(2, 6, 1, 8\)",
        ),
        (build(eidetic=3).initial_state(2), ValueError, r"`state\.eidetic\.keys` must be"),
        (build(delay_taps=1).initial_state(2), ValueError, r"`state\.memory\.taps` must be"),
        (
            state._replace(fading_keys=state.fading_keys.to("meta")),
            ValueError,
            r"`state\.fading_keys` must be .* on cpu; got .* on meta",
        ),
        (state._replace(time=torch.tensor(0.0)), ValueError, r"`state\.time` must be torch\.int64"),
        (
            state._replace(memory=state.memory._replace(modes=state.memory.modes * torch.nan)),
            ValueError,
            r"`state\.modes` must be finite; found nan",
        ),
    ]
    for wrong, error, match in cases:
        with pytest.raises(error, match=match):
            layer(x, wrong, y)
        with pytest.raises(error, match=match):
            layer.step(x[:, 0], wrong, y[:, 0])
    memory = FadingMemory(3, 2, (1, 2), **DOUBLE)
    for call in (lambda s: memory(x, s), lambda s: memory.step(x[:, 0], s)):
        with pytest.raises(TypeError, match="`state` must be a FadingState"):
            call(state)
        with pytest.raises(ValueError, match=r"`state\.modes` must be .* of shape \(2, 5\)"):
            call(memory.initial_state(1))


def test_wrong_states_of_a_stack():
    square = {"target": "input", "window": 2, "eidetic": 1, "modes": (0, 1)}
    stack = BMojoStack([BMojoLayer(3, **square, **DOUBLE) for _ in range(2)])
    x, state = tokens(2, 5, 3), stack.initial_state(2)
    for wrong in (state[0], state[:1], 3, list(state)):
        with pytest.raises(
            TypeError, match="`state` must be a tuple of 2, one BMojoState for each"
        ):
            stack(x, wrong)
    with pytest.raises(TypeError, match=r"must be a BMojoState.* got int"):
        stack.step(x[:, 0], (state[0], 3))
    with pytest.raises(TypeError, match=r"`lags` must be an integer; got 2.5"):
        stack.whiteness(x, lags=2.5)
    with pytest.raises(ValueError, match=r"`x` must leave .* singular covariance \(2 samples"):
        stack.whiteness(x[:1, :2], lags=1)
    with pytest.raises(TypeError, match="`normalize` must be True or False; got 'yes'"):
        BMojoStack(stack.each(), normalize="yes")


@pytest.mark.parametrize(("batch", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError)])
def test_wrong_batches(batch, error):
    for part in (build(), build().memory):
        with pytest.raises(error, match="`batch` must be"):
            part.initial_state(batch)


def test_sizes_beyond_the_memory_of_the_machine():
    for part in (build(), build().memory):
        with pytest.raises(ValueError, match=r"`batch` = 10+ must fit in memory: this takes"):
            part.initial_state(10**30)
    for sizes in ({"modes": (10**30, 0)}, {"delay_taps": 10**30}, {"n_outputs": 10**30}):
        with pytest.raises(ValueError, match=r"A memory of 3 inputs, .* must fit in memory"):
            FadingMemory(**{"n_inputs": 3, "n_outputs": 2, "modes": (1, 2)} | sizes)
    with pytest.raises(ValueError, match=r"`n_heads` = 10+ times `head_dim` must fit in memory"):
        build(n_heads=10**30)


def test_overflow_and_divergence_are_said():
    layer, x, y = build(dtype=torch.float32), tokens(2, 5, 3), tokens(2, 5, 2)
    with pytest.raises(ValueError, match=r"`x` must be small enough .* up to 2\.\d+e\+30 it overf"):
        layer(1e30 * x)
    with pytest.raises(ValueError, match=r"`x` must be small enough for the output to be finite"):
        build().calibrate(x, 1e200 * y)
    torch.nn.init.constant_(layer.predictor.C, torch.nan)
    with pytest.raises(
        ValueError, match=r"The parameter C of the layer must be finite; .*diverged"
    ):
        layer(x, y=y)
    gated = FadingMemory(1, 1, (1, 0), gated=1, **DOUBLE)
    torch.nn.init.constant_(gated.gates, 1e3)
    with pytest.raises(ValueError, match=r"`u` must be small enough .* need a bound"):
        gated(100 + torch.zeros(1, 100, 1, **DOUBLE))


def test_a_surprise_beyond_all_numbers_is_kept_either_way():
    layer, x, y = build(dtype=torch.float32), tokens(1, 6, 3).float(), tokens(1, 6, 2).float()
    y[0, 1] = 1e25  # its square is infinite
    whole, state = layer(x, y=y).state, layer.initial_state(1)
    for t in range(6):
        state = layer.step(x[:, t], state, y[:, t]).state
    assert torch.isinf(whole.eidetic.score[0, 0])
    assert torch.equal(whole.eidetic.position, state.eidetic.position)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"device": "nope"},
            ValueError,
            "`device` must be .* such as 'cpu'; got 'nope' .torch says",
        ),
        ({"device": 1.5}, ValueError, "`device` must be .*; got 1.5"),
        ({"dtype": "float16"}, ValueError, "`dtype` must be float32 or float64.* got float16"),
        ({"dtype": ["float32"]}, ValueError, "`dtype` must be float32 or float64"),
        ({"scan": "fast"}, ValueError, "`scan` must be one of 'auto', 'loop'.* got 'fast'"),
        ({"threshold": "high"}, TypeError, "`threshold` must be a real number; got 'high'"),
        ({"threshold": float("nan")}, ValueError, "`threshold` must be finite; got nan"),
        ({"dt": 0.0}, ValueError, "`dt` must be finite and above 0; got 0"),
        ({"tie_kv": "yes"}, TypeError, "`tie_kv` must be True, False or None; got 'yes'"),
        ({"n_heads": None}, TypeError, "`n_heads` must be an integer; got None"),
    ],
)
def test_wrong_options(options, error, match):
    with pytest.raises(error, match=match):
        build(**options)
    memory = {key: value for key, value in options.items() if key in ("device", "dtype", "scan")}
    if memory:
        with pytest.raises(error, match=match):
            FadingMemory(3, 2, (1, 2), **memory)


def test_wrong_devices_of_files(tmp_path):
    path = tmp_path / "layer"
    save(build(), path)
    with pytest.raises(ValueError, match=r"`device` must be .* got 'cpu:x'"):
        load(path, device="cpu:x")
