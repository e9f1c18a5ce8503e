"""Gaussian mixtures and unions of subspaces: exact denoisers that are not linear.

    p(x) = sum_k pi_k N(x; m_k, A_k^T diag(s_k) A_k),      A_k A_k^T = Id,

each component living on an affine space of dimension r. With coefficients c = A_k (y - m_k) its posterior mean, posterior
covariance and evidence are

    f_k(y) = m_k + A_k^T diag(s / (s + sigma^2)) c,        C_k = A_k^T diag(s sigma^2 / (s + sigma^2)) A_k,
    log p_k(y) = -1/2 ( sum_j c_j^2 / (s_j + sigma^2) + log(s_j + sigma^2) )
                 -1/2 ( (||y - m_k||^2 - ||c||^2) / sigma^2 + (d - r) log sigma^2 ) - d/2 log 2 pi .

With responsibilities r_k = softmax(log pi_k + log p_k): f = sum_k r_k f_k, and the law of total covariance gives
J = Cov / sigma^2 with Cov = sum_k r_k (C_k + f_k f_k^T) - f f^T. Between two components J has eigenvalues above 1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import gain, precise, probabilities, squared
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["GaussianMixture", "mixture_of_gaussians", "union_of_subspaces"]

BUDGET = 2**28
"""Bytes for the estimates of all components at a time."""


class GaussianMixture(DenoiserModule):
    """The posterior mean of a mixture of Gaussians on affine spaces of one dimension.

    See `mixture_of_gaussians` for full covariances and `union_of_subspaces` for flat ones.

    Parameters
    ----------
    means
        Shape (k, channels, height, width).
    atoms
        Orthonormal rows of each component, shape (k, r, d).
    variances
        Variance along each atom, shape (k, r), not below 0.
    weights
        Prior probabilities, shape (k,), positive; they are normalised. None: all equal.

    Examples
    --------
    >>> import torch
    >>> f = mixture_of_gaussians(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1), torch.full((2, 1, 1), 0.01))
    >>> round(f(torch.full((1, 1, 1, 1), 0.8), 0.1).item(), 3)
    0.9
    """

    means: Tensor
    atoms: Tensor
    variances: Tensor
    log_prior: Tensor

    @takes_arrays
    def __init__(
        self,
        means: Float[Tensor, "k c h w"],
        atoms: Float[Tensor, "k r d"],
        variances: Float[Tensor, "k r"],
        weights: Float[Tensor, " k"] | None = None,
    ) -> None:
        super().__init__()
        validate.images(means, "means")
        k, d = len(means), means[0].numel()
        validate.tensor(atoms, "atoms", (k, "r", d), f"as means are {tuple(means.shape)}")
        validate.tensor(variances, "variances", (k, atoms.shape[1]), "one for each of the atoms")
        for name, tensor in (("atoms", atoms), ("variances", variances)):
            validate.same_device(tensor, means, name)
        gram = atoms @ atoms.mT
        error = float((gram - torch.eye(atoms.shape[1], dtype=gram.dtype, device=gram.device)).abs().max())
        if error > 1e3 * torch.finfo(atoms.dtype).eps:
            raise ValueError(f"the rows of atoms must be orthonormal, they are off by {error:.1e}; use torch.linalg.qr")
        if not bool((variances >= 0).all()):
            raise ValueError(f"variances must not be below 0, got {float(variances.min()):g}")
        prior = probabilities(weights, k, precise(means))
        for name, tensor in (("means", means), ("atoms", atoms), ("variances", variances)):
            self.register_buffer(name, tensor.detach().clone())
        self.register_buffer("log_prior", prior.log())
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        rows = max(1, BUDGET // (8 * 3 * self.means.numel()))
        levels = sigma.flatten(1).expand(len(y), 1)
        parts = []
        for part, level in zip(torch.split(y, rows), torch.split(levels, rows), strict=True):
            responsibilities, estimates, _ = self._components(part, level)
            parts.append(torch.einsum("nk,nkd->nd", responsibilities, estimates))
        return torch.cat(parts).reshape(y.shape).to(y.dtype)

    def log_density(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """Log p_sigma(y), the density of the noisy images; sigma^2 times its gradient is f(y) - y (Miyasawa 1961)."""
        validate.images(y, "y")
        return self._components(y, validate.batch_sigma(sigma, y).flatten(1))[2].to(y.dtype)

    def responsibilities(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Posterior probability of each component."""
        validate.images(y, "y")
        return self._components(y, validate.batch_sigma(sigma, y).flatten(1))[0].to(y.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, in closed form."""
        validate.one_image(y, "y")
        level = validate.batch_sigma(validate.sigma_level(sigma), y).flatten(1)
        (r,), (estimates,), _ = self._components(y, level)
        atoms, s, s2 = precise(self.atoms), precise(self.variances), squared(level)[0, 0]
        mean = r @ estimates
        within = torch.einsum("k,krd,kr,kre->de", r, atoms, gain(s, s2.sqrt()), atoms)
        between = (estimates.mT * r) @ estimates - torch.outer(mean, mean)
        return (within + between / s2).to(y.dtype)

    def _components(self, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Responsibilities (n, k), posterior means of the components (n, k, d), log density (n,): in double precision."""
        fitting(y, self.means)
        means, atoms = precise(self.means).flatten(1), precise(self.atoms)
        s, s2 = precise(self.variances), squared(level)[:, :, None]
        centred = precise(y).flatten(1)[:, None] - means
        c = torch.einsum("nkd,krd->nkr", centred, atoms)
        total = s + s2
        d, r = means.shape[1], atoms.shape[1]
        outside = (centred - torch.einsum("nkr,krd->nkd", c, atoms)).square().sum(dim=2)
        log_p = -(c.square() / total + total.log()).sum(dim=2) / 2
        log_p = log_p - (outside / s2[..., 0] + (d - r) * s2[..., 0].log() + d * math.log(2 * math.pi)) / 2
        joint = precise(self.log_prior) + log_p
        estimates = means + torch.einsum("nkr,krd->nkd", gain(s, s2.sqrt()) * c, atoms)
        return torch.softmax(joint, dim=1), estimates, torch.logsumexp(joint, dim=1)


def mixture_of_gaussians(
    means: Float[Tensor, "k c h w"], covariances: Float[Tensor, "k d d"], weights: Float[Tensor, " k"] | None = None
) -> GaussianMixture:
    """The exact denoiser of a Gaussian mixture with full covariances, symmetric and without negative eigenvalues."""
    validate.images(means, "means")
    k, d = len(means), means[0].numel()
    validate.tensor(covariances, "covariances", (k, d, d), f"as means are {tuple(means.shape)}")
    precision = torch.finfo(covariances.dtype).eps ** 0.5
    gap, size = float((covariances - covariances.mT).abs().max()), float(covariances.abs().max())
    if gap > precision * size:
        raise ValueError(
            f"covariances must be symmetric, got entries that differ by {gap:.3g} from those of the transpose; use "
            "(covariances + covariances.mT) / 2 if that is what you mean"
        )
    symmetric = precise(covariances.detach())
    values, vectors = (t.to(covariances.dtype) for t in torch.linalg.eigh((symmetric + symmetric.mT) / 2))
    floor = -precision * values.abs().max()
    if bool((values < floor).any()):
        raise ValueError(f"covariances must have no negative eigenvalues, got {float(values.min()):.3g}")
    return GaussianMixture(means, vectors.mT.contiguous(), values.clamp(min=0), weights)


def union_of_subspaces(
    bases: Float[Tensor, "k r c h w"], variance: float, weights: Float[Tensor, " k"] | None = None
) -> GaussianMixture:
    """The exact denoiser of a union of linear subspaces of one dimension, with a Gaussian distribution on each.

    Parameters
    ----------
    bases
        Images that span each subspace, shape (k, r, channels, height, width), linearly independent.
    variance
        Of the coefficients in an orthonormal basis. Where it is large against sigma^2, f projects on the likeliest
        subspace and the risk is r sigma^2.

    Examples
    --------
    >>> import torch
    >>> f = union_of_subspaces(torch.eye(2).reshape(2, 1, 1, 1, 2), variance=1e4)
    >>> f(torch.tensor([[[[5.0, 0.1]]]]), 0.1).round(decimals=3)
    tensor([[[[5., 0.]]]])
    """
    variance = validate.positive(variance, "variance")
    validate.tensor(bases, "bases", ("k", "r", "channels", "height", "width"))
    validate.number(variance, "variance", most=torch.finfo(bases.dtype).max)
    k, r, *shape = bases.shape
    if r > math.prod(shape):
        raise ValueError(f"{r} images of {math.prod(shape)} pixels cannot be linearly independent; give fewer in bases")
    q, triangle = torch.linalg.qr(bases.detach().reshape(k, r, -1).mT)
    if bool((triangle.diagonal(dim1=1, dim2=2).abs() < 1e-6 * triangle.abs().amax()).any()):
        raise ValueError("the images of each subspace in bases must be linearly independent")
    variances = torch.full((k, r), variance, dtype=bases.dtype, device=bases.device)
    means = torch.zeros(k, *shape, dtype=bases.dtype, device=bases.device)
    return GaussianMixture(means, q.mT.contiguous(), variances, weights)
