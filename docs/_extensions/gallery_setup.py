"""What every example of the gallery starts from: the Agg backend, the style of the library, warnings as errors."""

import warnings
from typing import Any

import matplotlib as mpl

from gahb_theory.report import figures as plots

_filters: list[Any] = []


def prepare(gallery_conf: dict[str, Any], name: str, when: str) -> None:
    """Called by sphinx-gallery before and after each example."""
    if when == "after":
        warnings.filters[:] = _filters
        return
    _filters[:] = warnings.filters
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
    mpl.use("Agg")
    with plots.style():
        settings = mpl.rcParams.copy()
    mpl.rcParams.update(settings)
