"""How good a shrinkage is, estimated from the noisy coefficients alone.

For any shrinkage h that is weakly differentiable (Stein 1981),

    SURE(c) = ||h(c) - c||^2 + 2 sigma^2 sum_k dh_k / dc_k - k sigma^2,        E SURE = E ||h - clean||^2 .

A hard threshold jumps, and so does a soft threshold that is chosen as the minimum of an estimate: they are not weakly
differentiable, and the estimate is too low for them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays, wide
from gahb_theory.randomness import Component, uniforms
from gahb_theory.shrinkage.base import FixedGains, Shrinkage

__all__ = ["stein_risk"]

LARGEST_PROBES = 10**6


@takes_arrays
def stein_risk(
    shrinkage: Shrinkage, c: Float[Tensor, "n k"], sigma: float | Tensor, probes: int = 16, *, seed: int = 0
) -> Float[Tensor, " n"]:
    """Stein's unbiased estimate of the risk of a shrinkage, from noisy coefficients.

    Parameters
    ----------
    shrinkage
        A weakly differentiable shrinkage; neither `Hard` nor `SureShrink`. If its attribute `is_separable` is True, or if
        it is `FixedGains`, the divergence is exact; else it is the mean of products with random signs (Hutchinson
        1990), unbiased too.
    c
        Noisy coefficients in an orthonormal basis, shape (batch, k).
    sigma
        Noise level: a number or a tensor of shape (batch,), above 0.
    probes, seed
        Number of products, and the seed of their signs.

    Returns
    -------
    Shape (batch,), summed over coefficients. It may be negative for one image.

    References
    ----------
    C. Stein, Estimation of the mean of a multivariate normal distribution, Annals of Statistics, 1981.

    Examples
    --------
    The identity has risk k sigma^2, whatever the coefficients:

    >>> import torch
    >>> stein_risk(FixedGains(torch.ones(4)), torch.rand(1, 4), sigma=0.5)
    tensor([1.])
    """
    c = wide(validate.coefficients(c))
    probes, seed = validate.integer(probes, "probes", 1, LARGEST_PROBES), validate.seed(seed)
    noise = validate.batch_sigma(sigma, c).square()
    exact = isinstance(shrinkage, FixedGains) or getattr(shrinkage, "is_separable", False)

    def shrunk(noisy: Tensor) -> Tensor:
        return gains_of(shrinkage, noisy, sigma) * noisy

    divergence = torch.zeros(c.shape[0], dtype=c.dtype, device=c.device)
    count = 1 if exact else probes
    for probe in range(count):
        signs = torch.ones_like(c)
        if not exact:
            u = uniforms(*c.shape, seed=seed, component=Component.SHRINKAGE_PROBES, part=probe)
            signs = torch.where(u.to(c) < 0.5, -1.0, 1.0).to(c.dtype)
        with torch.enable_grad():
            point = c.detach().requires_grad_()
            (product,) = torch.autograd.grad((shrunk(point) * signs).sum(), point)  # J^T signs
        divergence = divergence + (signs * product).sum(dim=1) / count
    residual = (shrunk(c) - c).square().sum(dim=1)
    return residual + (2 * divergence - c.shape[1]) * noise[:, 0]


def gains_of(shrinkage: Shrinkage, c: Tensor, sigma: float | Tensor) -> Tensor:
    """The gains that a shrinkage gives, if they are finite and of the shape and type of the coefficients."""
    if not callable(shrinkage):
        raise TypeError(f"shrinkage must be called as (coefficients, sigma), got {type(shrinkage).__name__}")
    gains = shrinkage(c, sigma)
    if not isinstance(gains, Tensor) or gains.shape != c.shape or gains.dtype != c.dtype:
        got = f"{gains.dtype} of shape {tuple(gains.shape)}" if isinstance(gains, Tensor) else type(gains).__name__
        raise ValueError(f"shrinkage must return gains of {c.dtype} and shape {tuple(c.shape)}, got {got}")
    validate.finite(gains.detach(), "what shrinkage returned")
    return gains
