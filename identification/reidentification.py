"""The same identification again, of another record."""

from __future__ import annotations

from .data import Experiments
from .early_stopping import Estimate
from .refinement import refined
from .result import IdentificationResult
from .subspace import METHODS, subspace_id

__all__ = ["subspace_again"]


def subspace_again(result: IdentificationResult) -> Estimate | None:
    """Return what identifies a record as ``subspace_id`` made a result; None for other methods.

    Method, horizons, order and options are those of the result; nothing is chosen again.

    Parameters
    ----------
    result : IdentificationResult
        The result.
    """
    options, model = result.options, result.model
    if result.method not in METHODS or "bd" not in options:
        return None
    lag = options["delay"]
    D = model.C[:, -model.n_inputs :] if lag and model.n_inputs else model.D

    def identify(data: Experiments) -> IdentificationResult:
        """Identify, and refine if the held-out blocks of the first record asked for it."""
        found = subspace_id(
            data,
            order=model.n_states - model.n_inputs * lag,
            method=result.method,  # pyright: ignore[reportArgumentType]
            weight=options.get("weight"),
            past=options["past"],
            future=options["future"],
            feedthrough=bool(D.any()),
            delay=lag,
            focus=options["focus"],
            bd=options["bd"],
            stable=options["stable"],
            offset=options["offset"],
        )
        if not (result.trials and result.trials[0].refined):
            return found
        better = refined(
            found,
            data,
            focus=options["focus"],
            estimate_offset=options["offset"] == "estimate",
            stable=options["stable"],
            least=1,
        )
        return found if better is None else better

    return identify
