"""Layers in safetensors files: bit for bit there and back, and clear errors for everything else."""

import json
import subprocess
import sys

import numpy as np
import pytest
from systems import random_innovation

pytest.importorskip("torch", reason="the bridge needs the extra [torch]")

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from canonical_forms.bmojo import BMojoLayer, BMojoStack, from_model, load, save, to_model
from realization import BilinearSSM, LinearSSM, markov_parameters

torch.set_num_threads(1)  # small tensors: threads cost more than they bring


def layers():
    rng = np.random.default_rng(0)
    model = random_innovation(rng, 5, 2, 3)
    chain = np.eye(4, k=1) + np.diag([0.5, 0.5, 0.0, 0.0])
    gated = BilinearSSM(
        np.diag([0.5, 0.4]), 0.1 * rng.standard_normal((1, 2, 2)), np.ones((2, 1)), np.ones((1, 2))
    )
    return {
        "random": BMojoLayer(3, 2, (1, 2), window=4, eidetic=2, n_heads=2, tie_kv=False),
        "float64": from_model(model, dtype=torch.float64, window=8, eidetic=3, chunk=4, alpha=0.1),
        "float32": from_model(model, dtype=torch.float32, window=0, scan="loop"),
        "blocks": from_model(LinearSSM(chain, np.ones((4, 1)), np.ones((1, 4)), dt=0.1)),
        "gated": from_model(gated, window=4, eidetic=0),
        "tokens": from_model(random_innovation(rng, 3, 0, 2), window=4, threshold=7.0),
        "no modes": from_model(LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)))),
        "no tokens": from_model(LinearSSM([[0.5]], np.zeros((1, 0)), [[1.0]])),
    }


@pytest.mark.parametrize("name", layers())
def test_there_and_back(name, tmp_path):
    layer = layers()[name]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    save(layer, tmp_path / "layer.safetensors")
    back = load(tmp_path / "layer.safetensors")
    assert back.config() == layer.config()
    assert back.provenance == layer.provenance
    own, other = layer.state_dict(), back.state_dict()
    assert own.keys() == other.keys()
    for key, value in own.items():
        assert value.dtype == other[key].dtype
        assert torch.equal(value, other[key])
    x = torch.randn(2, 30, layer.n_inputs)
    a, b = layer(x), back(x)
    assert torch.equal(a.y, b.y)
    assert torch.equal(a.selected, b.selected)


@pytest.mark.parametrize("normalize", [True, False])
def test_stacks(normalize, tmp_path):
    rng = np.random.default_rng(2)
    layers = [from_model(random_innovation(rng, n, 0, 2), window=4, eidetic=2) for n in (3, 5)]
    stack, path = BMojoStack(layers, normalize=normalize), tmp_path / "stack"
    save(stack, path)
    back = load(path)
    assert isinstance(back, BMojoStack)
    own, other = stack.state_dict(), back.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)
    assert [each.provenance for each in back.each()] == [each.provenance for each in layers]
    x = torch.randn(2, 20, 2)
    assert torch.equal(stack(x).y, back(x).y)
    rewritten(path, config=json.dumps({"layers": [layers[0].config()]}))
    with pytest.raises(ValueError, match="do not fit"):
        load(path)


def test_a_string_names_the_file_and_the_device_can_be_chosen(tmp_path):
    path = str(tmp_path / "layer")
    save(layers()["random"], path)
    save(layers()["float64"], path)  # replaces it
    back = load(path, device="cpu")
    assert back.memory.B.dtype == torch.float64
    model = to_model(back)
    h = markov_parameters(random_innovation(np.random.default_rng(0), 5, 2, 3), 20)
    np.testing.assert_allclose(markov_parameters(model, 20), h, atol=1e-12)


def test_header_is_readable_without_this_package(tmp_path):
    layer, path = layers()["float64"], tmp_path / "layer.safetensors"
    save(layer, path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["class"]) == ("1", "BMojoLayer")
    assert json.loads(metadata["config"])["window"] == 8
    assert float(json.loads(metadata["provenance"])["error"]) < 1e-10


def test_only_layers_are_saved(tmp_path):
    class Other(BMojoLayer):
        pass

    for wrong in (torch.nn.Linear(2, 2), Other(2), {"a": 1}):
        with pytest.raises(TypeError, match="`layer` must be a BMojoLayer or a BMojoStack; got"):
            save(wrong, tmp_path / "layer")


def test_shared_tensors_are_not_saved(tmp_path):
    layer = BMojoLayer(2, target="input", window=2, eidetic=1)
    with pytest.raises(ValueError, match="`layer` must have tensors of its own in each of its par"):
        save(BMojoStack([layer, layer]), tmp_path / "layer")


def test_places_that_cannot_be_written_or_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .* to write .*: make it"):
        save(BMojoLayer(2), tmp_path / "no" / "layer")
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        save(BMojoLayer(2), tmp_path)
    with pytest.raises(OSError, match=r"`path` must name a file that can be written: .*too long"):
        save(BMojoLayer(2), tmp_path / ("x" * 250 + ".safetensors"))
    with pytest.raises(IsADirectoryError, match=r"`path` must name a file; .* is a folder"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="`path` must name a file that exists"):
        load(tmp_path / "no")


def test_foreign_files(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(TypeError, match="`path` must be a str or a path; got int"):
        load(3)
    with pytest.raises(TypeError, match="`path` must be a str or a path; got NoneType"):
        save(BMojoLayer(2), None)
    with pytest.raises(FileNotFoundError):
        load(path)
    path.write_bytes(b"not a layer at all")
    with pytest.raises(ValueError, match="must name a safetensors file"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="must name a safetensors file"):
        load(path)
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="no entries"):
        load(path)
    save_file({"weight": torch.ones(2)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"has \['format'\]"):
        load(path)


def rewritten(path, tensors=None, **entries):
    """Rewrite a file with other header entries or tensors."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() | entries
        old = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(old if tensors is None else tensors(old), path, metadata)


def test_later_and_damaged_files(tmp_path):
    path, layer = tmp_path / "layer.safetensors", layers()["random"]
    save(layer, path)
    whole = path.read_bytes()
    for size in (4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="something else or damaged"):
            load(path)
    cases = [
        ({"format": "2"}, "format 2, of another release"),
        ({"class": "BMojoTower"}, "a BMojoTower in format 1"),
        ({"config": "{"}, "do not fit"),
        ({"config": json.dumps(layer.config() | {"colour": 1})}, "colour"),
        ({"config": json.dumps(layer.config() | {"modes": [2, 2]})}, "size mismatch"),
        ({"provenance": "["}, "do not fit"),
    ]
    for entries, match in cases:
        path.write_bytes(whole)
        rewritten(path, **entries)
        with pytest.raises(ValueError, match=match):
            load(path)
    path.write_bytes(whole)
    rewritten(path, lambda old: {key: value for key, value in old.items() if key != "memory.B"})
    with pytest.raises(ValueError, match=r"memory\.B"):
        load(path)


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_without_the_extra_the_import_says_what_to_install(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; import canonical_forms.bmojo"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert 'pip install "stochastic-realization[torch]"' in run.stderr
