"""What every example of the gallery starts from: the Agg backend, the style of the library, warnings as errors.

The figures of the library do not go through pyplot, which is where sphinx-gallery looks for them: they are noted as they are
made, and saved after the block that made them.
"""

import warnings
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from gahb_theory.report import figures as plots

_filters: list[Any] = []
_figures: list[Figure] = []
_make = Figure.__init__


def _noted(figure: Figure, *args: Any, **settings: Any) -> None:
    _make(figure, *args, **settings)
    _figures.append(figure)


def _get_sg_image_scraper() -> Any:
    """What sphinx-gallery asks of a module that is named among its scrapers."""
    return save_figures


def save_figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that the block has made without pyplot, and return the text that shows them."""
    paths = []
    for figure in _figures:
        if figure.canvas.manager is None:
            paths.append(next(block_vars["image_path_iterator"]))
            figure.savefig(paths[-1], pad_inches=0.2)  # titles of rows lie outside the layout
    _figures.clear()
    return figure_rst(paths, gallery_conf["src_dir"])


def prepare(gallery_conf: dict[str, Any], name: str, when: str) -> None:
    """Called by sphinx-gallery before and after each example."""
    _figures.clear()
    if when == "after":
        Figure.__init__ = _make  # type: ignore[method-assign]
        warnings.filters[:] = _filters
        return
    Figure.__init__ = _noted  # type: ignore[method-assign]
    _filters[:] = warnings.filters
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
    mpl.use("Agg")
    with plots.style():
        settings = mpl.rcParams.copy()
    mpl.rcParams.update(settings)
