"""The eigenvectors of a denoiser's Jacobian, as a basis.

With the symmetric part of the Jacobian at the noisy image y,

    1/2 (J + J^T) = sum_k lambda_k e_k e_k^T,        lambda_1 >= lambda_2 >= ...,

the denoiser is a shrinkage in the basis {e_k}: f(y) = J y = sum_k lambda_k <y, e_k> e_k if J is symmetric and f
homogeneous (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 6). The basis is adapted to y, and to no other
image.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import MatrixBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Eigenbasis", "canonical_sign"]


@dataclass(frozen=True, eq=False, repr=False)
class Eigenbasis(MatrixBasis):
    """The k largest eigenvalues of the symmetric part of a Jacobian, and their eigenvectors as a basis.

    A partial basis if k < d. Build it with `jacobian(f, y, sigma).eigenbasis(k)`.

    Parameters
    ----------
    eigenvalues
        lambda_k, shape (k,), descending. They may be negative or above 1.
    atoms
        e_k, orthonormal rows, shape (k, d); in each, the first of the largest entries in magnitude is positive. Atoms
        of equal eigenvalues are an arbitrary basis of their span.
    residuals
        ||S e_k - lambda_k e_k|| for the symmetric part S, measured, shape (k,).
    converged
        Whether the residual is within `tolerance`, shape (k,). Where it is not, the pair is no eigenpair, and a larger
        eigenvalue may have been missed.
    tolerance
        The largest residual allowed, in the units of the eigenvalues.
    asymmetry
        ||J - J^T|| / ||J||, the part that these eigenvectors do not see; None if J was not formed.
    image_shape
        (channels, height, width) of the atoms, d numbers in all.
    matvecs
        Number of products with J or J^T that were asked for.

    See Also
    --------
    gahb_theory.jacobian, gahb_theory.compare, gahb_theory.plots.eigenvectors

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> weights = torch.tensor([[[[0.9, 0.5], [0.1, 0.0]]]])
    >>> E = jacobian(lambda y, sigma: weights * y, torch.rand(1, 1, 2, 2), sigma=0.1).eigenbasis(k=2)
    >>> E.eigenvalues
    tensor([0.9000, 0.5000])
    >>> E.atom_images([1])
    tensor([[[[0., 1.],
              [0., 0.]]]])
    """

    eigenvalues: Float[Tensor, " k"]
    atoms: Float[Tensor, "k d"]
    residuals: Float[Tensor, " k"]
    converged: Bool[Tensor, " k"]
    tolerance: float
    asymmetry: float | None
    image_shape: tuple[int, int, int]
    matvecs: int

    def __post_init__(self) -> None:
        self._check_shape()
        for name in ("eigenvalues", "residuals", "converged"):
            if getattr(self, name).shape != self.atoms.shape[:1]:
                raise ValueError(
                    f"{name} must hold one value for each of the {self.atoms.shape[0]} atoms, "
                    f"got shape {tuple(getattr(self, name).shape)}"
                )

    def plot(self, count: int = 24) -> "Figure":
        """Draw the first `count` eigenvectors, each under its eigenvalue, red positive and blue negative."""
        from gahb_theory.report.draw_eigenvectors import eigenvector_figure

        shown = range(min(validate.integer(count, "count", 1), len(self.eigenvalues)))
        atoms = self.atom_images(shown).detach().cpu().numpy()
        return eigenvector_figure(atoms, shown, self.eigenvalues[: len(shown)].detach().cpu().numpy())

    def clusters(self, gap: float | None = None) -> tuple[range, ...]:
        """Groups of neighbouring eigenvalues, in which only the span of the atoms has a meaning.

        Parameters
        ----------
        gap
            Neighbours that differ by less belong together. If None, each pair of neighbours is judged by its residuals:
            a residual r turns an atom towards its neighbour by up to r / gap (Davis and Kahan 1970), and a tenth is
            allowed.

        Examples
        --------
        >>> import torch
        >>> from gahb_theory.jacobians import jacobian
        >>> gains = torch.tensor([[[[0.9, 0.5], [0.5, 0.1]]]])
        >>> E = jacobian(lambda y, sigma: gains * y, torch.rand(1, 1, 2, 2), sigma=0.1).eigenbasis()
        >>> E.clusters()
        (range(0, 1), range(1, 3), range(3, 4))
        """
        values, residuals = self.eigenvalues.double(), self.residuals.double()
        floor = 100 * torch.finfo(self.eigenvalues.dtype).eps * values.abs().max()
        if gap is None:
            allowed = 10 * torch.maximum(residuals[:-1], residuals[1:]).clamp(min=floor)
        else:
            allowed = torch.full_like(residuals[1:], validate.positive(gap, "gap"))
        ends = [*((-values.diff() > allowed).nonzero()[:, 0] + 1).tolist(), len(values)]
        return tuple(range(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True))


def canonical_sign(vectors: Float[Tensor, "k d"]) -> Float[Tensor, " k"]:
    """Signs, shape (k,), that make the entry of largest magnitude of each row positive.

    Entries within a relative sqrt(machine precision) of the largest count as equal to it, and the first of them
    decides: in an antisymmetric vector rounding would decide otherwise.

    Examples
    --------
    >>> import torch
    >>> canonical_sign(torch.tensor([[0.6, -0.8], [-0.7071067, 0.7071068]]))
    tensor([-1., -1.])
    """
    sizes = vectors.abs()
    threshold = sizes.amax(dim=1, keepdim=True) * (1 - torch.finfo(vectors.dtype).eps ** 0.5)
    first = (sizes >= threshold).int().argmax(dim=1, keepdim=True)  # the first of the equal ones
    return torch.where(vectors.gather(1, first)[:, 0] < 0, -1.0, 1.0).to(vectors.dtype)
