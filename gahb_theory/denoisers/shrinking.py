"""The shrinkage denoiser: a basis and a shrinkage make a denoiser.

    f(y) = sum_k lambda_k <y, e_k> e_k,        lambda = shrinkage((<y, e_k>)_k, sigma)

(Donoho and Johnstone 1994; Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 6). Its inverse is the
eigenbasis of a Jacobian: for gains that do not depend on y, J = sum_k lambda_k e_k e_k^T gives the basis and the gains
back.
"""

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis, check_basis
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.shrinkage import Shrinkage

__all__ = ["ShrinkageDenoiser"]


class ShrinkageDenoiser(DenoiserModule):
    """Shrink the coefficients of the noisy image in a basis.

    The basis is used as it is given. For an adaptive one give ``basis.at(x)``, adapted to the images that will be
    denoised. What lies outside the span of a partial basis is set to 0. There is nothing to train, so the denoiser is in
    eval mode from the start.

    Parameters
    ----------
    basis
        The atoms e_k.
    shrinkage
        A callable (coefficients, sigma) -> gains: coefficients of shape (batch, k), sigma without axes or of shape
        (batch,), gains that broadcast to the shape of the coefficients.

    Raises
    ------
    TypeError
        If `basis` is not a `Basis` or `shrinkage` is not callable; when called, if the gains are not a tensor.
    ValueError
        When called, if the gains do not fit the coefficients.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika, 1994.

    See Also
    --------
    gahb_theory.Hard, gahb_theory.Wavelet, gahb_theory.jacobian

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> from gahb_theory.shrinkage import Hard
    >>> f = ShrinkageDenoiser(Pixels(), Hard(3.0))
    >>> f(torch.tensor([[[[0.1, 0.9]]]]), 0.1)
    tensor([[[[0.0000, 0.9000]]]])
    """

    def __init__(self, basis: Basis, shrinkage: Shrinkage) -> None:
        super().__init__()
        check_basis(basis)
        self.basis = basis
        self.shrinkage = validate.function(shrinkage, "shrinkage", "(coefficients, sigma) -> gains such as Hard(3.0)")
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """Shrink each image; `sigma` may differ from one to the next."""
        coefficients = self.basis.analysis(y)
        gains = self.shrinkage(coefficients, sigma.flatten() if len(sigma) > 1 else sigma.reshape(()))
        if not isinstance(gains, Tensor):
            raise TypeError(f"shrinkage must return a tensor of gains, got {type(gains).__name__}; use torch.as_tensor")
        if not gains.is_floating_point():
            raise TypeError(f"shrinkage must return floating-point gains, got {gains.dtype}; end it with .to(c.dtype)")
        if gains.device != coefficients.device:
            raise ValueError(f"shrinkage must return gains on {coefficients.device}, got {gains.device}")
        if gains.ndim > 2 or any(
            g not in (1, c) for g, c in zip(gains.shape[::-1], coefficients.shape[::-1], strict=False)
        ):
            raise ValueError(
                f"shrinkage must return gains of the shape of the coefficients, {tuple(coefficients.shape)}, "
                f"got {tuple(gains.shape)}"
            )
        validate.finite(gains, "what the shrinkage returned")
        return self.basis.synthesis(gains.to(y.dtype) * coefficients, tuple(y.shape[1:]))
