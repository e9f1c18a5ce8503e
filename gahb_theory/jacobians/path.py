"""The eigenbasis of a denoiser along noise levels.

At y(sigma) = x + sigma z with one z for all levels, the eigenvectors of J turn slowly with sigma, and the signal subspace
grows as the noise falls (Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020, section 6; Ventura et al. 2024).
How much of the k-dimensional subspace at one level lies in that of the next is

    overlap = ||E_i E_{i+1}^T||^2 / k,        1 if they agree, k / d for subspaces chosen at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.construction import jacobian
from gahb_theory.jacobians.spectra import eigenbasis
from gahb_theory.precision import full_precision, takes_arrays
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EigenbasisPath", "eigenbasis_path"]


@dataclass(frozen=True, eq=False, repr=False)
class EigenbasisPath(Result):
    """Eigenbases at several noise levels.

    Attributes
    ----------
    sigmas
        Noise levels, shape (n,).
    bases
        One eigenbasis for each.
    eigenvalues
        Shape (n, k).
    overlaps
        Between neighbouring levels, shape (n - 1,).
    matvecs
        Number of products with J or J^T in all.
    """

    sigmas: Float[Tensor, " n"]
    bases: tuple[Eigenbasis, ...]

    @property
    def eigenvalues(self) -> Float[Tensor, "n k"]:
        """lambda_k at each level."""
        return torch.stack([E.eigenvalues for E in self.bases])

    @property
    def overlaps(self) -> Float[Tensor, " m"]:
        """||E_i E_{i+1}^T||^2 / k for neighbouring levels."""
        pairs = zip(self.bases[:-1], self.bases[1:], strict=True)
        return torch.stack([(a.atoms @ b.atoms.mT).square().sum() / len(a.atoms) for a, b in pairs])

    @property
    def matvecs(self) -> int:
        """Number of products with J or J^T in all."""
        return sum(E.matvecs for E in self.bases)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the eigenvalues over the noise level, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"eigenvalues": self.eigenvalues.cpu()}, ax, "eigenvalue")


@full_precision
@takes_arrays
def eigenbasis_path(
    f: Denoiser,
    x: Float[Tensor, "1 c h w"],
    sigmas: Sequence[float],
    k: int,
    *,
    seed: int = 0,
    tol: float = 1e-5,
) -> EigenbasisPath:
    """The k largest eigenpairs of the symmetric part of J at x + sigma z, each level started from the one before.

    Parameters
    ----------
    f
        A denoiser.
    x
        One clean image.
    sigmas
        At least two noise levels, in the order in which they are walked.
    k
        Number of pairs.
    seed
        Names z.
    tol
        As in `eigenbasis`.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
    >>> f = GaussianDenoiser(torch.zeros(1, 1, 2, 2), torch.diag(torch.tensor([4.0, 1.0, 0.25, 0.0])))
    >>> eigenbasis_path(f, torch.rand(1, 1, 2, 2), [1.0, 0.5], k=2).eigenvalues
    tensor([[0.8000, 0.5000],
            [0.9412, 0.8000]])
    """
    validate.one_image(x, "x")
    k = validate.integer(k, "k", 1, x.numel())
    levels = validate.levels(sigmas)
    if len(levels) < 2:
        raise ValueError(f"sigmas must hold at least two noise levels, got {len(levels)}; use eigenbasis for one")
    bases: list[Eigenbasis] = []
    for sigma in levels:
        J = jacobian(f, add_noise(x, sigma, seed=seed), sigma)
        bases.append(eigenbasis(J, k, tol=tol, start=bases[-1] if bases else None))
    return EigenbasisPath(torch.tensor(levels, dtype=torch.float32, device="cpu"), tuple(bases))
