"""Save and load layers: safetensors with the options as JSON in the header, nothing pickled.

The header's text entries are ``format``, ``class``, ``config`` and ``provenance``, the last two one
for each layer of a stack; the tensors are the ``state_dict``. Any reader of safetensors can open
the file.
"""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from realization.internal import require_file, require_target

from .layer import BMojoLayer
from .options import as_device
from .stack import BMojoStack

__all__ = ["load", "save"]

FORMAT = 1
CLASSES = {"BMojoLayer": BMojoLayer, "BMojoStack": BMojoStack}


def save(layer: BMojoLayer | BMojoStack, path: str | os.PathLike[str]) -> None:
    """Save a layer, or a stack of them, to a safetensors file.

    Parameters
    ----------
    layer : BMojoLayer or BMojoStack
        The layer.
    path : str or path
        The file to write, `.safetensors` by custom; written as named, replaced if it exists.

    Raises
    ------
    TypeError
        If `layer` is no layer of this package.
    ValueError
        If parts of it share their tensors, as a stack of one layer taken twice.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : The way back.
    realization.save : For models.

    Notes
    -----
    Options and ``provenance`` travel in the header, as JSON. The tensors come back bit for bit.

    Examples
    --------
    >>> import os, tempfile
    >>> import torch
    >>> from canonical_forms.bmojo import BMojoLayer, load, save
    >>> layer = BMojoLayer(2, 1, (1, 2), window=4, eidetic=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "layer.safetensors")
    ...     save(layer, path)
    ...     back = load(path)
    >>> all(torch.equal(a, b) for a, b in zip(layer.parameters(), back.parameters()))
    True
    """
    name = type(layer).__name__
    if CLASSES.get(name) is not type(layer):
        raise TypeError(f"`layer` must be a {' or a '.join(CLASSES)}; got {name}.")
    require_target(path)
    config, provenance = _description(layer)
    metadata = {
        "format": str(FORMAT),
        "class": name,
        "config": json.dumps(config),
        "provenance": json.dumps(provenance),
    }
    tensors = {key: value.detach().contiguous() for key, value in layer.state_dict().items()}
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # of the disk: the rest was looked at before
        raise OSError(f"`path` must name a file that can be written: {error}") from None
    except RuntimeError:  # all that safetensors raises it for
        raise ValueError(
            "`layer` must have tensors of its own in each of its parts: some share their memory, "
            "and would come apart when they are loaded. Pass copies (copy.deepcopy)."
        ) from None


def load(path: str | os.PathLike[str], *, device: torch.device | str | None = None) -> Any:
    """Load a layer or a stack that :func:`save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    device : torch.device or str, optional
        Where the layer goes. Default: the CPU.

    Returns
    -------
    BMojoLayer or BMojoStack
        With the options, the tensors and the provenance of the one that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no safetensors file or a damaged one, was written by something else or by a
        later release, or its tensors do not fit its options.

    See Also
    --------
    save : The way there, with an example.
    """
    require_file(path)
    where, device = os.fspath(path), as_device(device)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"`path` must name a safetensors file; {where!r} is something else or damaged: {error}"
        ) from None
    version, name = metadata.get("format"), metadata.get("class")
    if version is None or name is None or not {"config", "provenance"} <= metadata.keys():
        raise ValueError(
            "`path` must name a file that canonical_forms.bmojo.save wrote; the header of "
            f"{where!r} has {sorted(metadata) or 'no entries'}. Its tensors can be read with "
            "safetensors."
        )
    if version != str(FORMAT) or name not in CLASSES:
        raise ValueError(
            f"`path` must name a {' or a '.join(CLASSES)} in format {FORMAT}; {where!r} holds a "
            f"{name} in format {version}, of another release: upgrade to read it."
        )
    try:
        layer = _rebuilt(*(json.loads(metadata[key]) for key in ("config", "provenance")))
        layer.load_state_dict(tensors)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"`path` must name an undamaged file: options and tensors of {where!r} do not fit: "
            f"{error}"
        ) from None
    return layer.to(device)


def _description(layer: BMojoLayer | BMojoStack) -> tuple[dict[str, Any], Any]:
    """Return the options and the provenance, in types that JSON has."""
    if isinstance(layer, BMojoLayer):
        return layer.config(), layer.provenance
    each = layer.each()
    normalize = isinstance(layer.norms[0], torch.nn.RMSNorm)
    config = {"layers": [one.config() for one in each], "normalize": normalize}
    return config, [one.provenance for one in each]


def _rebuilt(config: dict[str, Any], provenance: Any) -> BMojoLayer | BMojoStack:
    """Return a layer or a stack with these options."""
    if "layers" not in config:
        return _rebuilt_layer(config, provenance)
    each = [_rebuilt_layer(*one) for one in zip(config["layers"], provenance, strict=True)]
    return BMojoStack(each, normalize=config["normalize"])


def _rebuilt_layer(config: dict[str, Any], provenance: Any) -> BMojoLayer:
    """Return a layer with these options."""
    layer = BMojoLayer(**config)
    layer.provenance = dict(provenance)
    return layer
