"""The Jacobian of a denoiser at one image, as a linear operator.

A denoiser f that sees the noisy image y has the Jacobian J = df/dy(y), of shape (d_out, d_in) over flattened images. It
holds what the denoiser does around y:

    f(y) = J y = sum_k lambda_k <y, e_k> e_k        if f is homogeneous of order 1 and J is symmetric,
    J = Cov[x | y] / sigma^2                        if f is the posterior mean E[x | y],

(Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020; Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024,
equations 6 and 9). Neither property holds to the letter for a trained network, so both are measured here:
`homogeneity_error` and `asymmetry`. J need not be formed: `matvec` and `rmatvec` give J v and J^T u.
"""

from jaxtyping import Float
from torch import Tensor

from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.jacobians.decompositions import Polar, Schur, Spectrum, eig, polar, schur
from gahb_theory.jacobians.difference_check import UNCHECKED
from gahb_theory.jacobians.linear_operator import LinearOperator, Products
from gahb_theory.jacobians.reproduction import Reproduction, reproduction
from gahb_theory.jacobians.spectra import SVD, eigenbasis, svd

__all__ = ["Jacobian"]


class Jacobian(LinearOperator):
    """J = df/dy at one image: a linear map from d_in to d_out numbers. Build it with `jacobian`.

    The products, rows, columns, the matrix, the diagonal and the trace are those of `LinearOperator`.

    Parameters
    ----------
    products
        The engine: anything with `push` and `pull`.
    y
        The image at which f was differentiated, shape (1, channels, height, width).
    output
        f(y), shape (1, ...).
    chunk
        Number of directions in one call of the engine, more where they live on a part of the image; halved where memory
        does not suffice.
    engine
        Name of the engine, and why it was chosen.
    check
        What a comparison of J v with differences of f said: "agrees with differences", or "could not be checked" and
        why; empty where none was made. `repr` shows it unless it agrees.

    Attributes
    ----------
    shape
        (d_out, d_in).
    input_shape, output_shape
        Shapes of y and of f(y), without the batch axis.
    output
        f(y), shape (1, ...).

    See Also
    --------
    gahb_theory.jacobian, gahb_theory.Eigenbasis, gahb_theory.compare

    Examples
    --------
    >>> import torch
    >>> import gahb_theory as gt
    >>> J = gt.jacobian(lambda y, sigma: 0.5 * y, torch.rand(1, 1, 4, 4), 0.1)
    >>> J.shape, J.trace(), J.asymmetry()
    ((16, 16), 8.0, 0.0)
    """

    def __init__(
        self,
        products: Products,
        y: Float[Tensor, "1 c h w"],
        output: Float[Tensor, "1 ..."],
        *,
        chunk: int,
        engine: str = "",
        check: str = "",
    ) -> None:
        super().__init__(products, y, output.shape[1:], chunk=chunk)
        self.output = output
        self.engine = engine or type(products).__name__
        self.check = check

    def __repr__(self) -> str:
        check = f", check={self.check!r}" if self.check.startswith(UNCHECKED) else ""
        return f"{super().__repr__()[:-1]}{check})"

    def homogeneity_error(self) -> float:
        """||J y - f(y)|| / ||f(y)||: 0 to rounding for a network without additive constants.

        References
        ----------
        Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, ICLR 2020; Kadkhodaie et al., ICLR 2024, equation 6.
        """
        output = self.output.flatten()
        error = float((self.matvec(self._y.flatten()) - output).norm())
        size = float(output.norm())
        return error / size if size > 0 else float("inf") if error > 0 else 0.0

    def reproduction(self, x: Float[Tensor, "1 c h w"] | None = None) -> Reproduction:
        """Which matrix the spectrum is of, and how much of f(y) the shrinkage S y reproduces, S = (J + J^T) / 2.

        Printed, it is the line that belongs beside every spectrum; with the clean image x it says decibels.
        """
        return reproduction(self, self._y, self.output, x)

    def eigenbasis(self, k: int | None = None) -> Eigenbasis:
        """The k largest eigenvalues and eigenvectors of the symmetric part (J + J^T) / 2; all of them if None.

        See `gahb_theory.jacobians.eigenbasis`, which has more settings.
        """
        return eigenbasis(self, k)

    def svd(self, k: int | None = None) -> SVD:
        """The k largest singular values and vectors, J = sum_k values[k] left[k] right[k]^T; all of them if None.

        See `gahb_theory.jacobians.svd`, which has more settings.
        """
        return svd(self, k)

    def eig(self) -> Spectrum:
        """All eigenvalues of J itself, most of them complex for a trained network; see `gahb_theory.jacobians.eig`."""
        return eig(self)

    def schur(self) -> Schur:
        """The real Schur form of J; see `gahb_theory.jacobians.schur`."""
        return schur(self)

    def polar(self) -> Polar:
        """J = U P with U orthogonal and P symmetric; see `gahb_theory.jacobians.polar`."""
        return polar(self)
