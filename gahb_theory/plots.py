"""Figures of what the library returns: images, eigenvectors of a Jacobian, PSNR curves on one axis.

Each function takes results as they are and returns a figure or its axes, without the global state of pyplot. A result by
itself is drawn by its method `plot`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from gahb_theory import scalars, validate
from gahb_theory.bases import Eigenbasis
from gahb_theory.metrics import PSNRCurve
from gahb_theory.report import figures
from gahb_theory.report.curves import Panel, Series, draw
from gahb_theory.report.draw_eigenvectors import COLUMNS, eigenvector_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["eigenvectors", "images", "psnr_curves"]

SHOWN = (0, 1, 2, 3, 5, 7, 10, 14, 19, 26, 35, 47, 64, 86, 116, 156)
"""Ranks that are drawn where none are given: close together first, a ratio of 4/3 apart later."""
COLOURS = (figures.VERMILION, figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE, "black")
LINES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")


def eigenvectors(
    E: Eigenbasis,
    ks: Sequence[int] | None = None,
    *,
    clean: Tensor | None = None,
    coverage: Tensor | None = None,
    columns: int = COLUMNS,
) -> "Figure":
    r"""The figure of eigenvectors of a Jacobian under their eigenvalues, red positive, blue negative.

    Parameters
    ----------
    E
        What `Jacobian.eigenbasis` returns.
    ks
        Ranks to draw, from 0, by falling eigenvalue; about a dozen of them, ever farther apart, if None.
    clean
        The clean image, shape (1, c, h, w) or (c, h, w), which is drawn first.
    coverage
        Where it is inside its contour, as in `CAlpha().scene(1).coverage`; the contour is drawn over the clean image.
    columns
        Panels in a row.

    Raises
    ------
    ValueError
        A rank that E does not have, no rank at all, or a clean image of another shape.

    See Also
    --------
    gahb_theory.jacobian

    Examples
    --------
    >>> import gahb_theory as gt
    >>> x = gt.Disks(size=16).sample(1)
    >>> f = gt.ShrinkageDenoiser(gt.DCT(), gt.Hard(3.0))
    >>> E = gt.jacobian(f, gt.add_noise(x, 0.1), 0.1).eigenbasis()
    >>> [ax.get_title() for ax in eigenvectors(E, [0, 1], clean=x).axes if ax.images]
    ['clean', '$\\lambda_{1}$ = 1.00', '$\\lambda_{2}$ = 1.00']
    """
    n = len(E.eigenvalues)
    panels = len(SHOWN) - (clean is not None)  # full rows, with the clean image
    ranks = [k for k in SHOWN[:panels] if k < n] if ks is None else list(ks)
    columns = scalars.integer(columns, "columns", 1)
    if not ranks or min(ranks) < 0 or max(ranks) >= n:
        raise ValueError(f"ks must be ranks from 0 to {n - 1}, at least one, got {ranks}")
    atoms = E.atom_images(ranks)
    shape = tuple(atoms.shape[1:])
    if clean is not None and tuple(clean.shape[-3:]) != shape:
        raise ValueError(f"clean must be an image of shape {shape}, got {tuple(clean.shape)}")
    if coverage is not None and (clean is None or tuple(coverage.shape[-2:]) != shape[1:]):
        raise ValueError(f"coverage must be of shape (1, 1, {shape[1]}, {shape[2]}), beside the clean image")
    return eigenvector_figure(
        atoms.detach().cpu().numpy(),
        ranks,
        E.eigenvalues[ranks].detach().cpu().numpy(),
        None if clean is None else clean.reshape(shape).detach().cpu().numpy(),
        None if coverage is None else coverage.reshape(shape[1:]).detach().cpu().numpy(),
        columns,
    )


def images(x: Tensor, titles: Sequence[str] = ()) -> "Figure":
    """The figure of a row of images (n, c, h, w), intensities shown from 0 to 1, each under its title.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> len(images(gt.Disks(size=16).sample(3)).axes)
    3
    """
    x = validate.images(x, "x")
    if titles and len(titles) != len(x):
        raise ValueError(f"titles must be one for each of the {len(x)} images, got {len(titles)}")
    with figures.style():
        figure, axes = figures.panels(1.5 * len(x), 1.7, 1, len(x))
        for number, (picture, ax) in enumerate(zip(x.detach().cpu().numpy(), axes.flat, strict=True)):
            figures.image(picture, ax, figures.plain_text(titles[number]) if titles else "")
    return figure


def psnr_curves(curves: Mapping[str, PSNRCurve], ax: "Axes | None" = None) -> "Axes":
    """Axes with output against input PSNR of several denoisers, on equal scales, beside the noisy image itself.

    Bands are one standard error over images to either side.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> x = gt.Disks(size=16).sample(4)
    >>> fs = {"hard": gt.ShrinkageDenoiser(gt.DCT(), gt.Hard(3.0)), "none": lambda y, sigma: y}
    >>> ax = psnr_curves({name: gt.psnr_curve(f, x, [0.1, 0.2]) for name, f in fs.items()})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['noisy image', 'hard', 'none']
    """
    if not curves:
        raise ValueError("curves must hold at least one result of psnr_curve, by name")
    return draw(_psnr_panel(curves), figures.axes_or_new(ax), "upper left")


def _psnr_panel(curves: Mapping[str, PSNRCurve]) -> Panel:
    """Output against input PSNR of each curve, as pages and figures draw it."""
    inputs = np.sort(np.concatenate([np.asarray(curve.input_psnr, dtype=float) for curve in curves.values()]))
    series = [Series("noisy image", inputs, inputs, line=":", width=1)]
    for number, (name, curve) in enumerate(curves.items()):
        order = curve.sigmas.argsort()
        given, psnr, error = (np.asarray(v)[order] for v in (curve.input_psnr, curve.psnr, curve.standard_error))
        colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        series.append(Series(name, given, psnr, psnr - error, psnr + error, colour=colour, line=line, marker="o"))
    return Panel(series, "input PSNR −20 log₁₀ σ (dB)", "output PSNR (dB)", equal=True)
