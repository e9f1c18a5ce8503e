"""Figures of what the library returns: images, eigenvectors of a Jacobian, PSNR curves on one axis.

Each function takes results as they are and returns a figure or its axes, without the global state of pyplot. A result by
itself is drawn by its method `plot`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from gahb_theory import scalars, validate
from gahb_theory.bases import Eigenbasis
from gahb_theory.metrics import PSNRCurve
from gahb_theory.report import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["eigenvectors", "images", "psnr_curves"]

SHOWN = (0, 1, 2, 3, 5, 7, 10, 14, 19, 26, 35, 47, 64, 86, 116, 156)
"""Ranks that are drawn where none are given: close together first, a ratio of 4/3 apart later."""
COLOURS = (figures.VERMILION, figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE, "black")
LINES, MARKERS = ("-", "--", "-.", ":"), "osD^v"


def eigenvectors(
    E: Eigenbasis, ks: Sequence[int] | None = None, *, clean: Tensor | None = None, columns: int = 6
) -> "Figure":
    """The figure of eigenvectors of a Jacobian under their eigenvalues, red positive, blue negative.

    Parameters
    ----------
    E
        What `Jacobian.eigenbasis` returns.
    ks
        Ranks to draw, from 0, by falling eigenvalue; about a dozen of them, ever farther apart, if None.
    clean
        The clean image, shape (1, c, h, w) or (c, h, w), which is drawn first.
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
    >>> len(eigenvectors(E, [0, 1, 2], clean=x).axes)
    6
    """
    n = len(E.eigenvalues)
    ranks = [k for k in SHOWN if k < n] if ks is None else list(ks)
    columns = scalars.integer(columns, "columns", 1)
    if not ranks or min(ranks) < 0 or max(ranks) >= n:
        raise ValueError(f"ks must be ranks from 0 to {n - 1}, at least one, got {ranks}")
    atoms = E.atom_images(ranks)
    if clean is not None and tuple(clean.shape[-3:]) != tuple(atoms.shape[1:]):
        raise ValueError(f"clean must be an image of shape {tuple(atoms.shape[1:])}, got {tuple(clean.shape)}")
    count = len(ranks) + (clean is not None)
    rows = -(-count // columns)
    with figures.style():
        figure, axes = figures.panels(1.1 * columns, 1.3 * rows, rows, columns)
        panels = iter(axes.flat)
        for ax in axes.flat:
            ax.set_axis_off()
        if clean is not None:
            figures.image(clean.reshape(atoms.shape[1:]).detach().cpu().numpy(), next(panels), "clean")
        for k, atom in zip(ranks, atoms.detach().cpu().numpy(), strict=True):
            figures.signed_image(atom, next(panels), f"$\\lambda_{{{k + 1}}}$ = {float(E.eigenvalues[k]):.2f}")
    return figure


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
    ax = figures.axes_or_new(ax)
    inputs = sorted(float(p) for curve in curves.values() for p in curve.input_psnr)
    ax.plot(inputs, inputs, ":", color=figures.GREY, lw=1, label="noisy image")
    for number, (name, curve) in enumerate(curves.items()):
        order = curve.sigmas.argsort()
        given, psnr, error = curve.input_psnr[order], curve.psnr[order], curve.standard_error[order]
        colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        marker = MARKERS[number % len(MARKERS)]
        ax.plot(given, psnr, line, marker=marker, ms=4, color=colour, label=figures.plain_text(name))
        ax.fill_between(given, psnr - error, psnr + error, color=colour, alpha=0.2, lw=0)
    ax.set(xlabel="input PSNR $-20 \\log_{10} \\sigma$ (dB)", ylabel="output PSNR (dB)")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(loc="upper left")
    return ax
