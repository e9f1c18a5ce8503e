"""Posterior means whose Jacobian comes from the posterior itself, and its eigenbasis.

    J(y) = Cov[x | y] / sigma^2 = sum_k lambda_k e_k e_k^T ,

symmetric and positive (Miyasawa's identity once differentiated). The e_k are the basis in which the optimal denoiser is
a shrinkage to first order, adapted to the geometry of y as far as y tells it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis, canonical_sign
from gahb_theory.denoisers.base import DenoiserModule

__all__ = ["OwnJacobian"]

TOLERANCE = 1e-6
"""Largest residual of a pair, in units of the largest eigenvalue; rounding is far below."""


class OwnJacobian(DenoiserModule):
    """What posterior means of this kind have in common; a subclass has the matrix."""

    own_derivative = True

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image."""
        raise NotImplementedError

    def eigenbasis(self, y: Float[Tensor, "1 c h w"], sigma: float, k: int | None = None) -> Eigenbasis:
        """The k largest eigenvalues of J at one noisy image, all if None, and their eigenvectors as a basis.

        See Also
        --------
        gahb_theory.Jacobian, gahb_theory.Eigenbasis, gahb_theory.compare

        Examples
        --------
        A ray has one direction, its own:

        >>> import torch
        >>> from gahb_theory.denoisers.exact import ConeBayes
        >>> from gahb_theory.images import Ray
        >>> E = ConeBayes(Ray(torch.ones(1, 1, 2, 2))).eigenbasis(torch.full((1, 1, 2, 2), 0.5), sigma=0.01, k=1)
        >>> E.atoms, E.eigenvalues.round(decimals=3)
        (tensor([[0.5000, 0.5000, 0.5000, 0.5000]]), tensor([1.]))
        """
        matrix = self.jacobian_matrix(y, sigma).double()
        count = len(matrix) if k is None else validate.integer(k, "k", 1, len(matrix))
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        values, atoms = values.flip(0)[:count], vectors.mT.flip(0)[:count]
        residuals = torch.linalg.vector_norm(atoms @ matrix - values[:, None] * atoms, dim=1)
        tolerance = TOLERANCE * float(values[0].abs())
        return Eigenbasis(
            eigenvalues=values.to(y.dtype),
            atoms=(atoms * canonical_sign(atoms)[:, None]).to(y.dtype),
            residuals=residuals.to(y.dtype),
            converged=residuals <= tolerance,
            tolerance=tolerance,
            asymmetry=0.0,
            image_shape=(y.shape[1], y.shape[2], y.shape[3]),
            matvecs=0,
        )
