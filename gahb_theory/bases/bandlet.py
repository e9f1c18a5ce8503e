"""Orthogonal bandlets of the second generation (Peyre and Mallat 2005; Mallat and Peyre 2008).

An orthonormal wavelet transform leaves, along an edge, coefficients that are large but regular. A second transform
inside each subband removes what is regular: the subband is cut into dyadic squares S, and in each the coefficients W[S]
become B W[S] with an orthogonal B, either the identity or a Haar transform along a flow (`flows`). The quadtree and the
flows minimise

    sum_m min(c_m^2, T^2) + lambda T^2 R,        R = sum over leaves with a flow of (D_s s^2)^(1/4) + 2 (number of splits),

over all of them. The first term is ||x - x_M||^2 + T^2 M, the error of the best M terms and their price. The second is
the price of the geometry. What the best of the D_s flows of a square of side s gains on pure noise, at T = 3 sigma, has
upper quantiles that grow like (D_s s^2)^(1/4), which was measured; a price of a constant number of coefficients, or one
per bit, either lets noise through in large squares or suppresses flows in small ones. The cost is additive over
squares, so the minimum is found exactly, from small squares to large ones (`quadtree`). The result is an orthonormal
basis adapted to the image.

In the best bandlet basis, C^alpha images with C^alpha contours have ||x - x_M||^2 of the order M^-alpha, if the
transforms have more than alpha vanishing moments and the flows are polynomials of degree at least alpha - 1; straight
flows and Haar transforms, the default here, reach at best M^-2. On a noisy image, and with T of the order of
sigma sqrt(log), thresholding in the best basis is nearly minimax (Dossal, Le Pennec and Mallat 2011). The price lambda
then keeps noise from being taken for geometry.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.bases.flows import FlowBank
from gahb_theory.bases.geometry import Geometry, subband_corner
from gahb_theory.bases.quadtree import best_quadtree, four_to_one
from gahb_theory.bases.squares import cut, paste
from gahb_theory.bases.wavelet import Wavelet

__all__ = ["Bandlet"]

PRICE_OF_A_SPLIT = 2.0


@dataclass(frozen=True, eq=False)
class Bandlet(Basis):
    """Orthogonal bandlets: a dictionary of bases, and with a `geometry`, one basis for each image of a batch.

    ``Bandlet().at(x, threshold=T)`` finds the best geometry for each image. With T the noise level and x clean it is
    the basis of the oracle; with T = 3 sigma and x noisy it is chosen by model selection. Coefficients lie where the
    wavelet coefficients of their square lie in the Mallat layout; inside a square they go from coarse to fine,
    row-major. The coarse image, and subbands that no size divides, keep their wavelet coefficients.

    Parameters
    ----------
    wavelet
        An orthogonal wavelet, see `Wavelet`.
    sizes
        Sides of the squares, each the double of the one before. In a subband those are used that divide both its sides.
    levels
        Number of wavelet levels; None as for `Wavelet`.
    curvatures, moments
        Of the flows, see `FlowBank`.
    penalty
        lambda, the price of the geometry; infinity gives the wavelet basis. With the default, at T = 3 sigma, fewer than
        one in 100 squares of pure noise is given a flow.
    geometry
        The quadtrees and flows; None before `at`.

    References
    ----------
    G. Peyre, S. Mallat, Surface compression with geometric bandelets, SIGGRAPH, 2005.
    S. Mallat, G. Peyre, Orthogonal bandlet bases for geometric images approximation, Comm. Pure Appl. Math., 2008.
    C. Dossal, E. Le Pennec, S. Mallat, Bandlet image estimation with model selection, Signal Processing, 2011.

    See Also
    --------
    gahb_theory.Wavelet, gahb_theory.oracle_mse, gahb_theory.ShrinkageDenoiser

    Examples
    --------
    >>> import torch
    >>> x = (torch.arange(64.0)[:, None] > 0.37 * torch.arange(64.0) + 16).float()[None, None]
    >>> basis = Bandlet("db4").at(x, threshold=0.2)
    >>> c, w = basis.analysis(x)[0], Wavelet("db4").analysis(x)[0]
    >>> bool(torch.isclose(c.square().sum(), x.square().sum()))
    True
    >>> int((c.abs() > 0.2).sum()) < int((w.abs() > 0.2).sum())
    True
    """

    wavelet: str = "db4"
    sizes: tuple[int, ...] = (4, 8, 16)
    levels: int | None = None
    curvatures: tuple[float, ...] = (0.0,)
    moments: int = 1
    penalty: float = 0.2
    geometry: Geometry | None = None

    def __post_init__(self) -> None:
        Wavelet(self.wavelet, self.levels)
        object.__setattr__(self, "sizes", doubled_sizes(self.sizes))
        object.__setattr__(self, "penalty", price(self.penalty))
        for size in self.sizes:
            bank = FlowBank(size, self.curvatures, self.moments)
            object.__setattr__(self, "curvatures", bank.curvatures)
            object.__setattr__(self, "moments", bank.moments)
        if self.geometry is not None and not isinstance(self.geometry, Geometry):
            raise TypeError(f"geometry must be what at(x, threshold=T) found, got {type(self.geometry).__name__}")
        if self.geometry is not None and (self.geometry.curvatures, self.geometry.moments) != (
            self.curvatures,
            self.moments,
        ):
            raise ValueError("geometry was found with other flows; give the same curvatures and moments")

    @property
    def is_adapted(self) -> bool:
        """Whether the geometry is known."""
        return self.geometry is not None

    def at(self, x: Float[Tensor, "n c h w"], threshold: float | Tensor | None = None) -> "Bandlet":
        """Return the basis adapted to each image of the batch.

        Parameters
        ----------
        x
            Images, clean or noisy, shape (batch, channels, height, width).
        threshold
            T, a number or a tensor of shape (batch,), in the units of the intensities: the noise level sigma for the
            basis of the oracle of a clean image; 3 sigma for a noisy one, or for hard thresholding at 3 sigma.

        Returns
        -------
        A basis for batches of the same length; one that is adapted to a single image takes batches of any length.
        """
        validate.images(x, "x")
        if threshold is None:
            raise ValueError(
                "a bandlet basis is adapted for a threshold T: give at(x, threshold=sigma) for a clean image and noise "
                "of level sigma, at(y, threshold=3 * sigma) for a noisy one"
            )
        with torch.no_grad():
            level = validate.batch_threshold(threshold, x).expand(x.shape[0], 1, 1, 1)
            layout = Wavelet(self.wavelet, self.levels).analysis(x).reshape(x.shape)
            flows = {}
            for j in range(1, self._levels_for(x.shape[1:]) + 1):
                bands = _subbands(layout, j)
                sizes = [s for s in self.sizes if bands.shape[-2] % s == 0 and bands.shape[-1] % s == 0]
                if sizes:
                    flows[j] = self._search(bands, level[..., None], sizes)
        shape = (x.shape[1], x.shape[2], x.shape[3])
        return replace(self, geometry=Geometry(shape, flows, self.curvatures, self.moments))

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Bandlet coefficients of each image, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        geometry = self._geometry_for(x.shape[0], x.shape[1:])
        layout = Wavelet(self.wavelet, self.levels).analysis(x).reshape(x.shape)
        return self._turn(layout, geometry, forward=True).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width) is that of the images of the geometry if None."""
        validate.coefficients(c)
        known = None if self.geometry is None else self.geometry.image_shape
        target = validate.square_shape(c.shape[1], known if shape is None else shape)
        geometry = self._geometry_for(c.shape[0], target)
        layout = self._turn(c.reshape(-1, *target), geometry, forward=False)
        return Wavelet(self.wavelet, self.levels).synthesis(layout.flatten(1), target)

    def atoms(self, indices: Sequence[int], *, dtype: torch.dtype = torch.float32) -> Float[Tensor, "k d"]:
        """The atoms e_k, k in `indices`, as rows; of a basis that is adapted to one image."""
        return self.atom_images(indices, self._geometry_for(1, None).image_shape, dtype=dtype).flatten(1)

    def atom_images(
        self, indices: Sequence[int], shape: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "k c h w"]:
        """The atoms e_k, k in `indices`, as images; of a basis that is adapted to one image."""
        known = self._geometry_for(1, None).image_shape
        return super().atom_images(indices, known if shape is None else shape, dtype=dtype)

    def __getitem__(self, index: int) -> "Bandlet":
        """Return the basis of one image of the batch."""
        return replace(self, geometry=self._geometry_for(None, None)[index])

    def cost(self, x: Float[Tensor, "n c h w"], threshold: float | Tensor) -> Float[Tensor, " n"]:
        """Lagrangian sum_m min(c_m^2, T^2) + lambda T^2 R of the images in this basis: what `at` makes smallest."""
        validate.images(x, "x")
        geometry = self._geometry_for(x.shape[0], x.shape[1:])
        c = self.analysis(x)
        squared = validate.batch_threshold(threshold, c).square()
        rate = PRICE_OF_A_SPLIT * geometry.splits.to(c)
        for size in self.sizes:
            bank = FlowBank(size, self.curvatures, self.moments)
            rate = rate + bank.price * geometry.directional_leaves_of(size).to(c)
        price = torch.where(rate > 0, self.penalty * rate.clamp(min=1), 0)
        return torch.minimum(c.square(), squared).sum(dim=1) + squared[:, 0] * price

    def _search(self, bands: Tensor, level: Tensor, sizes: list[int]) -> dict[int, Tensor]:
        """Quadtrees and flows of subbands (n, c, 3, h, w)."""
        identity: dict[int, Tensor] = {}
        chosen, costs = {}, {}
        unit = level.square()
        for size in sizes:
            squares = cut(bands, size, size).flatten(-2)
            grid = squares.shape[:-1]
            if identity:
                identity[size] = four_to_one(identity[size // 2])
            else:
                identity[size] = torch.minimum(squares.square(), unit[..., None]).sum(dim=-1)
            bank = FlowBank(size, self.curvatures, self.moments)
            thresholds = level.expand(grid).flatten()
            lowest, flow = bank.costs(squares.flatten(0, -2), thresholds).min(dim=0)
            directional = lowest.reshape(grid) + self.penalty * bank.price * unit
            chosen[size] = torch.where(directional < identity[size], flow.reshape(grid) + 1, 0)
            costs[size] = torch.minimum(directional, identity[size])
        _, leaves = best_quadtree(costs, self.penalty * PRICE_OF_A_SPLIT * unit)
        return {size: torch.where(leaves[size], chosen[size], -1) for size in sizes}

    def _turn(self, layout: Tensor, geometry: Geometry, *, forward: bool) -> Tensor:
        """Replace wavelet coefficients by bandlet coefficients, or back, in the squares that have a flow."""
        height, width = layout.shape[-2:]
        for level, grids in geometry.flows.items():
            bands = _subbands(layout, level)
            for size, grid in grids.items():
                flows = grid.to(layout.device).expand(layout.shape[0], *grid.shape[1:]).flatten()
                where = (flows > 0).nonzero()[:, 0]
                if len(where) == 0:
                    continue
                squares = cut(bands, size, size)
                bank = geometry.bank(size)
                turn = bank.analysis if forward else bank.synthesis
                flat = squares.flatten(0, -3).flatten(1)
                flat = flat.index_copy(0, where, turn(flat[where], flows[where] - 1))
                bands = paste(flat.reshape(squares.shape))
            layout = _with_subbands(layout, bands, level, height, width)
        return layout

    def _levels_for(self, shape: Sequence[int]) -> int:
        return Wavelet(self.wavelet, self.levels).levels_for(shape[-2], shape[-1])

    def _geometry_for(self, n: int | None, shape: Sequence[int] | None) -> Geometry:
        """The geometry, if it is one for `n` images of this shape."""
        if self.geometry is None:
            raise RuntimeError(
                "this bandlet basis has no geometry yet; adapt it to images with at(x, threshold=T), T the noise level"
            )
        if n is not None and len(self.geometry) not in (1, n):
            raise ValueError(
                f"this bandlet basis is adapted to a batch of {len(self.geometry)} images, got {n}; "
                "give a batch of the same length, or take the basis of one image with basis[i]"
            )
        if shape is not None and tuple(shape) != self.geometry.image_shape:
            raise ValueError(
                f"this bandlet basis is adapted to images of shape {self.geometry.image_shape}, got {tuple(shape)}; "
                "adapt it to images of this shape with at"
            )
        return self.geometry


def doubled_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sides of squares as integers, each the double of the one before."""
    if isinstance(sizes, str | bytes) or not isinstance(sizes, Sequence):
        raise TypeError(f"sizes must be a sequence such as (4, 8, 16), got {type(sizes).__name__}")
    sides = tuple(validate.integer(size, "each of sizes", 2) for size in sizes)
    if not sides or any(b != 2 * a for a, b in pairwise(sides)):
        raise ValueError(f"sizes must each be the double of the one before, such as (4, 8, 16), got {sides}")
    return sides


def price(penalty: float) -> float:
    """The price of a geometry: a number of at least 0, or infinity, which forbids it."""
    if isinstance(penalty, float | np.floating) and penalty == math.inf:
        return math.inf
    if isinstance(penalty, int | float | np.number) and not isinstance(penalty, bool) and not penalty >= 0:
        raise ValueError(f"penalty must be at least 0 (infinity forbids the geometry), got {penalty}")
    return validate.number(penalty, "penalty", least=0)


def _subbands(layout: Tensor, level: int) -> Tensor:
    """The three subbands of a level, shape (n, c, 3, h, w)."""
    height, width = layout.shape[-2:]
    h, w = height >> level, width >> level
    corners = [subband_corner(level, orientation, height, width) for orientation in range(3)]
    return torch.stack([layout[..., top : top + h, left : left + w] for top, left in corners], dim=2)


def _with_subbands(layout: Tensor, bands: Tensor, level: int, height: int, width: int) -> Tensor:
    """The layout with the three subbands of a level replaced."""
    h, w = height >> level, width >> level
    vertical, horizontal, diagonal = bands.unbind(dim=2)
    top = torch.cat([layout[..., :h, :w], vertical], dim=-1)
    corner = torch.cat([top, torch.cat([horizontal, diagonal], dim=-1)], dim=-2)
    if level == 1:
        return corner
    right = layout[..., : 2 * h, 2 * w :]
    return torch.cat([torch.cat([corner, right], dim=-1), layout[..., 2 * h :, :]], dim=-2)
