"""Which matrix a spectrum is of, and how much of the denoiser the shrinkage with that spectrum reproduces.

With the eigenvalues and eigenvectors of the symmetric part S of the Jacobian J at y,

    S y = sum_k lambda_k <y, e_k> e_k,        f(y) = S y    if J is symmetric and f homogeneous of order 1

(Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 6). It is so to rounding for blind `Conservative` networks, and
not for others: how far S y is from f(y) is stated wherever a spectrum is shown. The singular vectors of J reproduce J y
instead, J y = sum_k s_k <y, v_k> u_k, in two bases.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.linear_operator import LinearOperator
from gahb_theory.metrics.errors import psnr
from gahb_theory.precision import wide
from gahb_theory.stored_results import Result

__all__ = ["Reproduction", "reproduction", "shrunk"]

SYMMETRIC = 1e-5
"""Below this asymmetry, or this distance, there is rounding in single precision only."""


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction(Result):
    """How much of a denoiser at one image the shrinkage S y reproduces; printed, it is one line.

    Attributes
    ----------
    asymmetry
        ||J - J^T|| / ||J||.
    error
        ||S y - f(y)|| / ||f(y)||.
    psnr
        PSNR of f(y) in decibels; None without a clean image.
    psnr_shrinkage
        PSNR of S y.
    """

    asymmetry: float
    error: float
    psnr: float | None
    psnr_shrinkage: float | None

    @property
    def exact(self) -> bool:
        """Whether f(y) = S y to rounding in single precision."""
        return self.error <= SYMMETRIC and self.asymmetry <= SYMMETRIC

    @property
    def matrix(self) -> str:
        """Which matrix eigenvalues and eigenvectors are of."""
        if self.asymmetry <= SYMMETRIC:
            return "J, which is symmetric"
        return f"S = (J + J')/2, where ||J - J'|| / ||J|| = {self.asymmetry:.2g}"

    def __repr__(self) -> str:
        said = f"Spectrum of {self.matrix}; S y is f(y) to {self.error:.1e}"
        if self.psnr is None or self.psnr_shrinkage is None:
            return said + "."
        lost = "" if self.exact else f", {self.psnr - self.psnr_shrinkage:.2f} dB lost"
        return f"{said}: {self.psnr_shrinkage:.2f} dB beside {self.psnr:.2f} dB of f(y){lost}."


def reproduction(
    J: LinearOperator,
    y: Float[Tensor, "1 c h w"],
    output: Float[Tensor, "1 ..."],
    x: Float[Tensor, "1 ..."] | None = None,
) -> Reproduction:
    """How much of f(y) the shrinkage S y reproduces; see `Jacobian.reproduction`, which is this.

    Parameters
    ----------
    J
        The Jacobian at y.
    y, output
        The noisy image and f(y).
    x
        The clean image, for decibels.

    Raises
    ------
    ValueError
        If J is not square.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import Conservative, UNet
    >>> from gahb_theory.jacobians import jacobian
    >>> f = Conservative(UNet(channels=4, blocks=1)).double().eval()
    >>> y = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> found = jacobian(f, y, 0.1).reproduction()
    >>> found.error < 1e-12, found.exact
    (True, True)
    """
    asymmetry = J.asymmetry()
    shrunk = (wide(J.matvec(y.flatten())) + wide(J.rmatvec(y.flatten()))) / 2
    output = wide(output).flatten()
    size, apart = float(output.norm()), float((shrunk - output).norm())
    error = apart / size if size > 0 else float("inf") if apart > 0 else 0.0
    if x is None:
        return Reproduction(asymmetry, error, None, None)
    clean = wide(validate.one_image(x, "x")).to(output)
    if clean.shape != y.shape:
        raise ValueError(f"x must have the shape of y, {tuple(y.shape)}, got {tuple(clean.shape)}")
    own, other = (float(psnr(clean, estimate.reshape(clean.shape))) for estimate in (output, shrunk))
    return Reproduction(asymmetry, error, own, other)


def shrunk(f: Denoiser, y: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """S y of each noisy image, S = (J + J^T) / 2: what equation (6) reproduces of f(y), from one product with J and with J^T.

    Parameters
    ----------
    f
        A denoiser that torch can differentiate in both modes, which treats each image of a batch on its own.
    y
        Noisy images.
    sigma
        Their noise level.

    See Also
    --------
    gahb_theory.Jacobian

    Examples
    --------
    >>> y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> half = shrunk(lambda y, sigma: 0.5 * y + sigma, y, 0.1)
    >>> bool(torch.allclose(half, 0.5 * y))
    True
    """
    validate.denoiser(f)
    validate.images(y, "y")
    level = validate.sigma_level(sigma)

    def value(y: Tensor) -> Tensor:
        return f(y, level)

    pushed = torch.func.jvp(value, (y,), (y,))[1]
    pulled = torch.func.vjp(value, y)[1](y)[0]
    return (pushed + pulled) / 2
