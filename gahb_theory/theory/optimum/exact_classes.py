"""The Bayes risk where the posterior is a closed form or a finite sum.

    Gaussian                  sum_k s_k sigma^2 / (s_k + sigma^2), a number
    HolderBall, ray, cone     the mean over noisy images of the exact posterior variance
    mixture, finite set       the same

An exact denoiser (`GaussianDenoiser`, `StationaryGaussianDenoiser`, `GaussianMixture`, `EmpiricalBayes`) stands for the
distribution that it is optimal for.
"""

from typing import TypeAlias

import torch
from torch import Tensor

from gahb_theory.denoisers import EmpiricalBayes, GaussianDenoiser, GaussianMixture, StationaryGaussianDenoiser
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes
from gahb_theory.images import GaussianField, HolderBall, Ray, SineCone, Texture
from gahb_theory.randomness import Component, add_noise, step_generator
from gahb_theory.theory.optimum.enclosure import BayesRisk, Enclosed, enclosure

__all__ = ["EXACT", "Exact", "exact_risk"]

Gaussian: TypeAlias = GaussianField | Texture | GaussianDenoiser | StationaryGaussianDenoiser
Exact: TypeAlias = Gaussian | HolderBall | Ray | SineCone | GaussianMixture | EmpiricalBayes
EXACT = (
    *(GaussianField, Texture, GaussianDenoiser, StationaryGaussianDenoiser),
    *(HolderBall, Ray, SineCone, GaussianMixture, EmpiricalBayes),
)


def exact_risk(X: Exact, sigma: float, n: int, *, seed: int) -> BayesRisk:
    """The Bayes risk of a class with an exact posterior."""
    if isinstance(X, GaussianField | Texture | GaussianDenoiser | StationaryGaussianDenoiser):
        return _gaussian(X, sigma, n, seed)
    x = (_draws(X, n, seed) if isinstance(X, GaussianMixture | EmpiricalBayes) else X.sample(n, seed=seed)).double()
    y = add_noise(x, sigma, seed=seed)
    if isinstance(X, HolderBall):
        centre, trace = HolderBallBayes(X).moments(y, sigma)
        method = "exact posterior of each wavelet coefficient"
    elif isinstance(X, Ray | SineCone):
        centre, trace = ConeBayes(X).moments(y, sigma)
        method = "exact posterior of amplitude and phase"
    elif isinstance(X, GaussianMixture):
        centre, method = X(y, sigma), "exact posterior of a mixture"
        trace = torch.stack([X.jacobian_matrix(row[None], sigma).trace() * sigma**2 for row in y])
    else:
        centre, method = X(y, sigma), "exact posterior of a finite set"
        trace = torch.stack([_finite_variance(X, row[None], mean, sigma) for row, mean in zip(y, centre, strict=True)])
    return enclosure(Enclosed(y, centre, trace, trace, trace), sigma, method, {"images": n}, exact=True)


def _gaussian(X: Gaussian, sigma: float, n: int, seed: int) -> BayesRisk:
    f: GaussianDenoiser | StationaryGaussianDenoiser
    if isinstance(X, GaussianField | Texture):
        mean = torch.full((1, 1, X.size, X.size), X.mean, dtype=torch.float64)
        f, x = GaussianDenoiser(mean, X.covariance.matrix()), X.sample(n, seed=seed)
    else:
        f, x = X, _draws(X, n, seed)
    value = float(f.mse(sigma))
    y = add_noise(x.double(), sigma, seed=seed)
    trace = torch.full((n,), value, dtype=torch.float64)
    known = Enclosed(y, f(y, sigma), trace, trace, trace)
    return enclosure(known, sigma, "closed form of a Gaussian", {"images": n}, exact=True, value=value)


def _draws(
    X: GaussianDenoiser | StationaryGaussianDenoiser | GaussianMixture | EmpiricalBayes, n: int, seed: int
) -> Tensor:
    """Images of the distribution that an exact denoiser is optimal for, in double precision."""
    generator = step_generator("cpu", Component.PRIOR, seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if isinstance(X, EmpiricalBayes):
        return X.images.double()[torch.multinomial(X.log_prior.exp(), n, replacement=True, generator=generator)]
    if isinstance(X, GaussianMixture):
        component = torch.multinomial(X.log_prior.exp(), n, replacement=True, generator=generator)
        weights = X.variances.double().sqrt()[component] * normal(n, X.variances.shape[1])
        fields = (weights[:, None] @ X.atoms.double()[component])[:, 0]
        return X.means.double()[component] + fields.reshape(n, *X.means.shape[1:])
    if isinstance(X, StationaryGaussianDenoiser):
        white = torch.fft.fft2(normal(n, *X.mean.shape[1:]))
        return X.mean.double() + torch.fft.ifft2(X.spectrum.double().sqrt() * white).real
    variances, atoms = X.variances.double(), X.atoms.double()
    return X.mean.double() + (normal(n, len(variances)) * variances.sqrt() @ atoms).reshape(n, *X.mean.shape[1:])


def _finite_variance(X: EmpiricalBayes, y: Tensor, mean: Tensor, sigma: float) -> Tensor:
    away = X.images.double().flatten(1) - mean.double().flatten()
    return X.weights(y, sigma).double() @ away.square().sum(dim=1)
