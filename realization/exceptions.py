"""Errors and warnings of the toolkit, each carrying the number that explains it.

Wrong calls raise the built-in ``TypeError`` and ``ValueError``. The classes here mean that the
call was right and the mathematics failed; all errors are ``numpy.linalg.LinAlgError``.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError

__all__ = [
    "AccuracyError",
    "NotEmbeddable",
    "NotMinimalError",
    "NotPositiveRealError",
    "NumericalWarning",
    "UnstableModelError",
]


class NumericalWarning(UserWarning):
    """The result is usable but something about it must be known (the text says what)."""


class AccuracyError(LinAlgError):
    """An algorithm's own check of its result failed.

    Parameters
    ----------
    message : str
        What was solved, what residual was found and what to try.
    residual : float
        The relative residual that was measured.
    """

    def __init__(self, message: str, *, residual: float) -> None:
        super().__init__(message)
        self.residual = residual


class UnstableModelError(LinAlgError):
    """A quantity that exists for stable models only was asked of an unstable one.

    Parameters
    ----------
    message : str
        What was asked and what to do instead.
    stability_margin : float
        Distance of the worst pole from the stability boundary: ``1 - max|pole|`` in discrete
        time, ``-max Re(pole)`` in continuous time. Not positive here.
    """

    def __init__(self, message: str, *, stability_margin: float) -> None:
        super().__init__(message)
        self.stability_margin = stability_margin


class NotPositiveRealError(LinAlgError):
    """Covariance data that are not those of any process: the spectral density is indefinite.

    Parameters
    ----------
    message : str
        What was found and which repair exists.
    margin : float
        Minimum over frequency of the smallest eigenvalue of the spectral density.
    frequency : float
        The frequency where it is reached, in radians per unit of ``dt``.
    """

    def __init__(self, message: str, *, margin: float, frequency: float) -> None:
        super().__init__(message)
        self.margin = margin
        self.frequency = frequency


class NotMinimalError(LinAlgError):
    """A quantity that exists for minimal models only was asked of another.

    Parameters
    ----------
    message : str
        Which direction of the state is superfluous and what to do.
    singular_value : float
        The smallest relevant singular value, relative to the largest.
    """

    def __init__(self, message: str, *, singular_value: float) -> None:
        super().__init__(message)
        self.singular_value = singular_value


class NotEmbeddable(LinAlgError):  # noqa: N818 - a public name that scripts rely on
    """No stationary process of the same order has this law at the requested speed.

    Parameters
    ----------
    message : str
        Which condition failed and by how much.
    violation : float
        Size of the violation: the most negative eigenvalue of the noise covariance that would be
        needed, relative to its largest, or ``inf`` where the dynamics have no real logarithm.
    """

    def __init__(self, message: str, *, violation: float) -> None:
        super().__init__(message)
        self.violation = violation
