"""The scikit-learn shape of ``subspace_id``: fit, predict, score, clone; no scikit-learn needed."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np

from .result import IdentificationResult
from .subspace import subspace_id
from .validation import Comparison, compare

__all__ = ["SubspaceID"]


class SubspaceID:
    """Subspace identification as an estimator with ``fit``, ``predict`` and ``score``.

    It holds options; ``fit`` calls ``subspace_id`` with them, and all that this returns is in
    ``result_``. Outputs come first, as everywhere here: ``fit(y, u)``.

    Parameters
    ----------
    order : int or "auto", default "auto"
        State dimension.
    method : str, default "auto"
        As in ``subspace_id``, like all that follow.
    weight : str, optional
        Weighting of the singular value decomposition.
    past : int, optional
        Past horizon.
    future : int, optional
        Future horizon.
    dt : float, default 1.0
        Sample time.
    feedthrough : bool, default True
        Estimate D; False sets D = 0.
    delay : int, default 0
        Samples of dead time.
    focus : str, default "prediction"
        "prediction": ``predict`` and ``score`` look one step ahead; "simulation": they see the
        inputs only.
    bd : str, default "auto"
        Route to B, D, x0.
    criterion : str, default "svc"
        Order criterion.
    stable : bool, default False
        Move unstable eigenvalues of A inside the unit circle.
    offset : str, default "estimate"
        "estimate" or "none".

    Attributes
    ----------
    result_ : IdentificationResult
        What ``fit`` found.

    See Also
    --------
    subspace_id : The function, with more to say about every option.

    Notes
    -----
    scikit-learn's ``clone``, ``cross_val_score`` and ``GridSearchCV`` take it, with outputs in the
    place of X and inputs in that of y. Cut time series with ``TimeSeriesSplit``: shuffled folds are
    no records.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import SubspaceID
    >>> from realization import LinearSSM, simulate
    >>> u = np.random.default_rng(0).standard_normal((400, 1))
    >>> y = simulate(LinearSSM([[0.8]], [[1.0]], [[1.0]]), u).y
    >>> model = SubspaceID(order=1, focus="simulation").fit(y[:200], u[:200])
    >>> bool(model.score(y[200:], u[200:]) > 99.999)
    True
    """

    def __init__(
        self,
        order: int | Literal["auto"] = "auto",
        *,
        method: str = "auto",
        weight: str | None = None,
        past: int | None = None,
        future: int | None = None,
        dt: float = 1.0,
        feedthrough: bool = True,
        delay: int = 0,
        focus: str = "prediction",
        bd: str = "auto",
        criterion: str = "svc",
        stable: bool = False,
        offset: str = "estimate",
    ) -> None:
        self.order = order
        self.method = method
        self.weight = weight
        self.past = past
        self.future = future
        self.dt = dt
        self.feedthrough = feedthrough
        self.delay = delay
        self.focus = focus
        self.bd = bd
        self.criterion = criterion
        self.stable = stable
        self.offset = offset

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options by name.

        Parameters
        ----------
        deep : bool, default True
            Without effect: no option is an estimator itself.

        Returns
        -------
        dict
            Names and values.
        """
        return {name: getattr(self, name) for name in _OPTIONS}

    def set_params(self, **params: Any) -> SubspaceID:
        """Change options by name.

        Parameters
        ----------
        **params : object
            Options and their new values.

        Returns
        -------
        SubspaceID
            The same object.

        Raises
        ------
        ValueError
            If there is no such option.
        """
        for name in params:
            if name not in _OPTIONS:
                options = ", ".join(_OPTIONS)
                raise ValueError(f"`{name}` is no option of SubspaceID; there are {options}.")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, y: Any, u: Any = None) -> SubspaceID:
        """Identify a model.

        Parameters
        ----------
        y : array_like, DataFrame, Experiments or list of arrays
            Outputs (T, p).
        u : array_like, DataFrame or list of them, optional
            Inputs (T, m).

        Returns
        -------
        SubspaceID
            The same object, with ``result_``.
        """
        self.result_: IdentificationResult = subspace_id(y, u, **self.get_params())
        return self

    def predict(self, y: Any, u: Any = None) -> np.ndarray | tuple[np.ndarray, ...]:
        """Predict the outputs, one step ahead or from the inputs only, by ``focus``.

        The initial state is fitted to the record, as in ``compare``.

        Parameters
        ----------
        y : array_like, DataFrame, Experiments or list of arrays
            Outputs (T, p).
        u : array_like, DataFrame or list of them, optional
            Inputs (T, m).

        Returns
        -------
        (T, p) ndarray or tuple of them
            One array for one record, a tuple for several.
        """
        runs = self._compared(y, u).y_hat[0]
        return runs[0] if len(runs) == 1 else runs

    def score(self, y: Any, u: Any = None) -> float:
        """Return the fit in percent, averaged over the outputs: 100 is perfect.

        Parameters
        ----------
        y : array_like, DataFrame, Experiments or list of arrays
            Outputs (T, p).
        u : array_like, DataFrame or list of them, optional
            Inputs (T, m).

        Returns
        -------
        float
            Mean of ``fit_percent``.
        """
        return float(self._compared(y, u).fits.mean())

    def _compared(self, y: Any, u: Any) -> Comparison:
        """Return the outputs of the fitted model on a record."""
        if not hasattr(self, "result_"):
            raise ValueError("this SubspaceID has no model yet: call fit(y, u) first.")
        horizon = np.inf if self.result_.options["focus"] == "simulation" else 1
        return compare(self.result_, y, u, horizon=horizon)

    def __repr__(self) -> str:
        defaults = inspect.signature(SubspaceID).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default
        ]
        return f"SubspaceID({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks its estimators for."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type="regressor", target_tags=TargetTags(required=False))


_OPTIONS = tuple(inspect.signature(SubspaceID).parameters)
