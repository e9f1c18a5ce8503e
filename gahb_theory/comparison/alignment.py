"""Do atoms follow a contour? Three numbers for each atom.

With the coverage m of a region, its normal n = grad m / |grad m|, and the band of the pixels at the contour, three wide,

    band energy     sum of e^2 over the band                                     chance: its part of the pixels
    alignment       sum of (n . grad e)^2 / sum of |grad e|^2, over the band     chance: 1/2

the second being the mean squared cosine of the angle between the gradients of the atom (its structure tensor, Forstner
and Gulch 1987) and the normal: 1 for an atom that is constant along the contour. Third, the mean frequency of the atom
along a contour that is a graph y = C(x),

    sum_f f |F(f)|^2 / sum_f |F(f)|^2,        F the Fourier transform of e(x, C(x)) :

harmonics along the contour oscillate faster as their eigenvalues fall (Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024,
figure 4).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ContourAlignment", "align", "contour_band"]


@dataclass(frozen=True, eq=False, repr=False)
class ContourAlignment(Result):
    """How each atom, in order, lies to a contour."""

    band_energy: Float[Tensor, " k"]
    alignment: Float[Tensor, " k"]
    """NaN where the atom has no gradient in the band."""
    frequency: Float[Tensor, " k"] | None
    """Cycles across the image; None if the contour is not given as a graph."""
    band_of_chance: float
    """The part of the pixels in the band."""

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the energy near contours and the alignment of each atom, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        curves = {"energy near contours": self.band_energy.cpu(), "alignment": self.alignment.cpu()}
        return draw_spectra(curves, ax, "share")


def contour_band(coverage: Float[Tensor, "1 1 h w"]) -> Bool[Tensor, "h w"]:
    """Pixels that the contour crosses, and their neighbours.

    Examples
    --------
    >>> import torch
    >>> contour_band(torch.tensor([0.0, 0.0, 0.0, 0.5, 1.0, 1.0]).reshape(1, 1, 6, 1))[:, 0].tolist()
    [False, False, True, True, True, False]
    """
    region = coverage >= 0.5
    crossed = (coverage > 0) & (coverage < 1)
    crossed[..., 1:, :] |= region[..., 1:, :] & ~region[..., :-1, :] & (coverage[..., :-1, :] == 0)
    crossed[..., :-1, :] |= region[..., :-1, :] & ~region[..., 1:, :] & (coverage[..., 1:, :] == 0)
    crossed[..., 1:] |= region[..., 1:] & ~region[..., :-1] & (coverage[..., :-1] == 0)
    crossed[..., :-1] |= region[..., :-1] & ~region[..., 1:] & (coverage[..., 1:] == 0)
    grown = torch.nn.functional.max_pool2d(crossed.to(coverage.dtype), 3, stride=1, padding=1)
    return (grown > 0)[0, 0]


@takes_arrays
def align(
    atoms: Float[Tensor, "k c h w"],
    coverage: Float[Tensor, "1 1 h w"],
    contour: Float[Tensor, "1 w"] | None = None,
) -> ContourAlignment:
    """Measure how atoms lie to the contour of a region.

    Parameters
    ----------
    atoms
        Atoms of norm 1 as images, shape (k, channels, height, width).
    coverage
        Part of each pixel that belongs to the region, shape (1, 1, height, width).
    contour
        Height of the contour at the centre of each column, as a fraction of the height from the top, shape (1, width).

    Examples
    --------
    >>> from gahb_theory.bases import DCT
    >>> from gahb_theory.images import CAlpha
    >>> scene = CAlpha(size=32).scene(1)
    >>> flat = DCT().atom_images([0, 1], (1, 32, 32))
    >>> result = align(flat, scene.coverage, scene.contour)
    >>> bool(abs(result.band_energy[0] - result.band_of_chance) < 1e-6)
    True
    """
    validate.images(atoms, "atoms")
    validate.one_image(coverage, "coverage")
    if coverage.shape[1] != 1 or coverage.shape[2:] != atoms.shape[2:]:
        raise ValueError(
            f"coverage must have shape (1, 1, {atoms.shape[2]}, {atoms.shape[3]}), got {tuple(coverage.shape)}"
        )
    coverage = coverage.to(atoms)
    band = contour_band(coverage)
    if not bool(band.any()):
        raise ValueError("coverage has no contour: all pixels belong to one region")
    # the normal from the coverage, smoothed twice so that it does not follow the pixel grid
    smooth = coverage
    for _ in range(2):
        smooth = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(smooth, (2, 2, 2, 2), mode="replicate"), 5, 1)
    down, across = torch.gradient(smooth[0, 0], dim=(0, 1))
    length = torch.hypot(down, across).clamp(min=torch.finfo(atoms.dtype).tiny)
    rows, columns = torch.gradient(atoms, dim=(2, 3))
    along_normal = ((rows * down + columns * across) / length).square()
    total = (rows.square() + columns.square())[..., band].sum(dim=(1, 2))
    cosine = along_normal[..., band].sum(dim=(1, 2)) / total
    return ContourAlignment(
        band_energy=atoms.square()[..., band].sum(dim=(1, 2)),
        alignment=torch.where(total > 1e-12, cosine, torch.nan),
        frequency=None if contour is None else _frequency(atoms, contour.to(atoms)),
        band_of_chance=float(band.to(atoms.dtype).mean()),
    )


def _frequency(atoms: Tensor, contour: Tensor) -> Tensor:
    """Mean frequency along the contour, in cycles across the image."""
    height, width = atoms.shape[-2:]
    if contour.shape != (1, width):
        raise ValueError(
            f"contour must have shape (1, {width}), one height for each column, got {tuple(contour.shape)}"
        )
    place = (contour[0] * height - 0.5).clamp(0, height - 1)
    above = place.floor().long().clamp(max=height - 2)
    part = place - above
    column = torch.arange(width, device=atoms.device)
    samples = (1 - part) * atoms[..., above, column] + part * atoms[..., above + 1, column]
    # reflected, so that the two ends of the contour do not add a jump
    power = torch.fft.rfft(torch.cat([samples, samples.flip(-1)], dim=-1)).abs().square().sum(dim=1)
    f = torch.arange(power.shape[1], dtype=atoms.dtype, device=atoms.device) / 2
    return (f * power).sum(dim=1) / power.sum(dim=1).clamp(min=torch.finfo(atoms.dtype).tiny)
