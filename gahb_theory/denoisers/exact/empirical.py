"""The optimal denoiser of a finite set of images: the perfect memoriser.

For the empirical distribution p = 1/N sum_i delta(x - x_i) the posterior mean is a weighted mean of the training images,

    f(y) = sum_i w_i x_i,      w = softmax_i( -||y - x_i||^2 / (2 sigma^2) ),      J = Cov_w / sigma^2

(Gu et al. 2023; Scarvelis, Borde and Solomon 2023; Biroli et al. 2024). A network without additive constants cannot
be this function: it is homogeneous and must treat x_i and its multiples alike. Its best is the posterior mean of the
rays {r u_i, r >= 0}, u_i = x_i / ||x_i||, here under a flat prior of r:

    w_i ~ Phi(mu_i / sigma) exp( mu_i^2 / (2 sigma^2) ),   mu_i = <y, u_i>,
    f(y) = sum_i w_i m_i u_i,   m_i = mu_i + sigma phi(mu_i / sigma) / Phi(mu_i / sigma) ,

which for one image far from the apex has the risk sigma^2: the unit slope of the training curves at small N
(Kadkhodaie et al. 2024, figures 1 and 19). f(s y, s sigma) = s f(y, sigma).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import (
    Atoms,
    Posterior,
    chunks,
    posterior_mean,
    precise,
    probabilities,
    squared,
)
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["EmpiricalBayes", "EmpiricalRays"]

BUDGET = 2**28


class EmpiricalBayes(DenoiserModule):
    """The posterior mean of a finite set of images, all equally likely unless weighted; the set is not copied.

    Parameters
    ----------
    images
        The set, shape (N, channels, height, width). The cost is that of two products of matrices, 4 N d operations for
        each noisy image; memory beyond the set is bounded by `budget`.
    weights
        Prior probabilities, shape (N,), positive; they are normalised. None: all equal.
    budget
        Bytes for what is computed at a time.

    References
    ----------
    X. Gu, C. Du, T. Pang, C. Li, M. Lin, Y. Wang, On memorization in diffusion models, 2023.

    See Also
    --------
    gahb_theory.GaussianDenoiser, gahb_theory.copies

    Examples
    --------
    Half way between two images the noisy image tells nothing:

    >>> import torch
    >>> f = EmpiricalBayes(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1))
    >>> f(torch.full((1, 1, 1, 1), 0.5), 0.1).item()
    0.5
    """

    images: Tensor
    log_prior: Tensor

    @takes_arrays
    def __init__(
        self, images: Float[Tensor, "N c h w"], weights: Float[Tensor, " N"] | None = None, budget: int = BUDGET
    ) -> None:
        super().__init__()
        validate.images(images)
        self.budget = validate.integer(budget, "budget", 2**10)
        self.register_buffer("images", images.detach())
        self.register_buffer("log_prior", probabilities(weights, len(images), precise(images)).log())
        self.eval()

    def posterior(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Posterior:
        """Mean (n, d), log evidence (n,) and entropy of the weights in nats (n,): 0 where one image has all of it."""
        fitting(validate.images(y, "y"), self.images)
        level = validate.batch_sigma(sigma, y).flatten(1)
        flat = self.images.flatten(1)
        return posterior_mean(y.flatten(1), chunks(flat, flat, self.log_prior, len(y), self.budget), level)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        fitting(y, self.images)
        flat = self.images.flatten(1)
        posterior = posterior_mean(
            y.flatten(1), chunks(flat, flat, self.log_prior, len(y), self.budget), sigma.flatten(1)
        )
        return posterior.mean.to(y.dtype).reshape(y.shape)

    def log_density(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """Log p_sigma(y), the density of the noisy images; sigma^2 times its gradient is f(y) - y (Miyasawa 1961)."""
        validate.images(y, "y")
        level = precise(validate.batch_sigma(sigma, y)).flatten()
        constant = y[0].numel() * (level.log() + math.log(2 * math.pi) / 2)
        return (self.posterior(y, sigma).log_evidence - constant).to(y.dtype)

    def weights(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, " N"]:
        """Posterior probabilities w_i of all images at one noisy image."""
        validate.one_image(y, "y")
        fitting(y, self.images)
        s2 = squared(validate.batch_sigma(validate.sigma_level(sigma), y)).reshape(())
        flat = self.images.flatten(1)
        parts = []
        for points, _, log_prior in chunks(flat, flat[:, :1], self.log_prior, 1, self.budget):
            difference = precise(points) - precise(y).flatten()
            parts.append(precise(log_prior) - difference.square().sum(dim=1) / (2 * s2))
        return torch.softmax(torch.cat(parts), dim=0)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov_w / sigma^2 at one noisy image, in closed form."""
        w, x = self.weights(y, sigma), self.images.flatten(1)
        mean = self.posterior(y, sigma).mean[0]
        result = torch.zeros(x.shape[1], x.shape[1], dtype=w.dtype, device=w.device)
        start = 0
        for points, _, _ in chunks(x, x, self.log_prior, 1, self.budget):
            centred = precise(points) - mean
            result.addmm_(centred.mT * w[start : start + len(points)], centred)
            start += len(points)
        return (result / squared(validate.batch_sigma(sigma, y)).reshape(())).to(y.dtype)


class EmpiricalRays(DenoiserModule):
    """The best memoriser that is homogeneous: the posterior mean of the training images times an unknown scale.

    Parameters
    ----------
    images
        The set, shape (N, channels, height, width), none of them 0.
    budget
        Bytes for what is computed at a time.

    Examples
    --------
    One image: far from the apex it is the projection on the ray.

    >>> import torch
    >>> f = EmpiricalRays(torch.tensor([3.0, 4.0]).reshape(1, 1, 1, 2))
    >>> f(torch.tensor([[[[1.0, 0.0]]]]), 0.01)
    tensor([[[[0.3600, 0.4800]]]])
    """

    directions: Tensor

    @takes_arrays
    def __init__(self, images: Float[Tensor, "N c h w"], budget: int = BUDGET) -> None:
        super().__init__()
        validate.images(images)
        self.budget = validate.integer(budget, "budget", 2**10)
        norms = precise(images.detach()).flatten(1).norm(dim=1)
        if bool((norms == 0).any()):
            raise ValueError(f"images must not be 0, got {int((norms == 0).sum())} that are; a ray needs a direction")
        self.register_buffer("directions", (precise(images.detach()) / norms[:, None, None, None]).to(images.dtype))
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        mean, _ = self._stream(y, sigma.flatten(1))
        return mean.to(y.dtype).reshape(y.shape)

    def log_density(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """Log p_sigma(y) up to a constant: the prior of the scale is not normalised."""
        validate.images(y, "y")
        level = validate.batch_sigma(sigma, y).flatten(1)
        _, log_sum = self._stream(y, level)
        s, d = precise(level)[:, 0], y[0].numel()
        return (log_sum - precise(y).flatten(1).square().sum(dim=1) / (2 * s**2) - (d - 1) * s.log()).to(y.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, in closed form."""
        validate.one_image(y, "y")
        fitting(y, self.directions)
        s2 = squared(validate.batch_sigma(validate.sigma_level(sigma), y)).reshape(())
        u = precise(self.directions.flatten(1))
        mu = u @ precise(y).flatten()
        s = s2.sqrt()
        logits, m = _ray(mu, s)
        w, hazard = torch.softmax(logits, dim=0), (m - mu) / s
        within = (1 - mu / s * hazard - hazard.square()).clamp(
            0, 1
        )  # variance of a normal distribution cut off at 0, over s^2
        estimates = m[:, None] * u
        centred = estimates - w @ estimates
        return ((u.mT * (w * within)) @ u + (centred.mT * w) @ centred / s2).to(y.dtype)

    def _stream(self, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        fitting(y, self.directions)
        q, s = precise(y.flatten(1)), squared(level).sqrt()
        top = torch.full((len(q),), -torch.inf, dtype=q.dtype, device=q.device)
        total, mean = torch.zeros_like(top), torch.zeros_like(q)
        flat = self.directions.flatten(1)
        no_prior = torch.zeros(len(flat), dtype=flat.dtype, device=flat.device)
        for atoms in chunks(flat, flat, no_prior, 2 * len(q), self.budget):
            u = precise(Atoms(*atoms).points)
            logits, m = _ray(q @ u.mT, s)
            new = torch.maximum(top, logits.detach().amax(dim=1))
            weights = (logits - new[:, None]).exp()
            scale = torch.where(torch.isinf(top), torch.zeros_like(top), (top - new).exp())
            mean = mean * scale[:, None] + (weights * m) @ u
            total = total * scale + weights.sum(dim=1)
            top = new
        return mean / total[:, None], top + total.log()


def _ray(mu: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Log evidence of rays at which y projects to `mu`, and the mean of the scale on each.

    Both go through erfcx(-t / sqrt 2) = 2 Phi(t) exp(t^2 / 2) where t = mu / sigma is below 0: nothing is lost there.
    """
    t = mu / s
    below = t < 0
    scaled = torch.special.erfcx(-torch.where(below, t, torch.zeros_like(t)) / math.sqrt(2))
    positive = torch.where(below, torch.zeros_like(t), t)
    log_phi = torch.special.log_ndtr(positive)
    hazard = (-positive.square() / 2 - math.log(2 * math.pi) / 2 - log_phi).exp()
    hazard = torch.where(below, math.sqrt(2 / math.pi) / scaled, hazard)
    evidence = torch.where(below, (scaled / 2).log(), log_phi + positive.square() / 2)
    return evidence, (mu + s * hazard).clamp(min=0)
