"""How far a denoiser is from optimal at least, proved from pairs of clean and noisy images alone.

With f* the posterior mean, E[f(y) - x | y] = f(y) - f*(y). So for every function g of y alone

    E<f(y) - x, g(y)> = E<f(y) - f*(y), g(y)> ,

and by Cauchy and Schwarz, of which the second line is the same inequality for g as it is scaled,

    E||f - f*||^2  >=  (E<f - x, g>)^2 / E||g||^2
                   >=  2 E<f - x, g> - E||g||^2  =  E||f - f*||^2 - E||f - f* - g||^2 ,

with equality at g = f - f*. Nothing about the distribution is needed: the excess is certified for photographs and published
networks as well. Here g is a combination of f - rival for each rival denoiser and of regressions of f(y) - x on y and f(y),
chosen on one half of the images and evaluated on the other, and the other way round. The last expression is a plain mean
over images, so that its interval is that of a mean, and what g lacks makes the certificate smaller, never wrong.
Besides, risk(f) less the certificate bounds the Bayes risk from above.

Where f* is known (`benchmarks/certificates.py`; 64 images of 16 pixels) 1,105 of 1,130 certificates were not above the exact
excess, 775 of 800 with f* as a rival, and 15 of 15 in each of six cases where f is f*. By regressions alone, without a
rival, the mean certificate is .55 to .98 of the excess on Gaussian fields, mixtures and HolderBall, and .28 to .79 on disks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.errors import Repeat
from gahb_theory.metrics.intervals import Estimate, check_confidence, mean_estimate
from gahb_theory.precision import full_precision, takes_arrays, wide
from gahb_theory.randomness import add_noise
from gahb_theory.theory.correctors import Corrector, LinearCorrector, NetworkCorrector, Pairs

__all__ = ["excess_risk"]

FEWEST, BATCH = 16, 64
Function = Callable[[Tensor, float], Tensor]


@full_precision
@takes_arrays
def excess_risk(
    f: Function,
    images: Float[Tensor, "n c h w"],
    sigma: float,
    rivals: Sequence[Function] = (),
    *,
    seed: int = 0,
    draws: int = 2,
    correctors: Sequence[Corrector] = (LinearCorrector(), NetworkCorrector()),
    confidence: float = 0.95,
) -> Estimate:
    """What E||f(y) - f*(y)||^2 is at least, f* the posterior mean of images of the kind that is given.

    Parameters
    ----------
    f
        Any denoiser f(y, sigma).
    images
        At least 16 clean images, drawn independently, that neither f nor the rivals were trained on, shape (n, channels,
        height, width). Patches of one photograph are not independent: give them one after the other, so that few
        photographs stand in both halves.
    sigma
        Noise level.
    rivals
        Denoisers that may be better than f somewhere; they need not be better on the whole. The better one of them is, the
        tighter is the certificate.
    seed
        Names the noise and the weights of the small networks.
    draws
        How often noise is added to each image.
    correctors
        Regressions that learn f(y) - f*(y) from the pairs.
    confidence
        Probability of the interval.

    Returns
    -------
    The certified excess, summed over pixels, as an `Estimate`: the excess is above `low` with at least the probability
    (1 + confidence) / 2. `high` is the upper end for what this g certifies, not for the excess. Nothing below 0 is
    certified: 0 says that no suboptimality was seen.

    See Also
    --------
    gahb_theory.bayes_risk, gahb_theory.optimality

    Examples
    --------
    The map that does nothing, on images that are constant, of which the mean over pixels would be a better estimate:

    >>> import torch
    >>> x = torch.rand(200, 1, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 1, 4, 4)
    >>> found = excess_risk(lambda y, s: y, x, 0.2, [lambda y, s: y.mean((2, 3), keepdim=True).expand_as(y)], correctors=())
    >>> bool(0.5 < found.low < 0.6)  # the excess over that mean is 15 sigma^2 = .6
    True
    """
    x, level = wide(validate.images(images)), validate.sigma_level(sigma)
    if len(x) < FEWEST:
        raise ValueError(
            f"images must hold at least {FEWEST} images, half to choose g and half to evaluate it, got {len(x)}"
        )
    validate.warn_of_units(level, x)
    draws, seed = validate.integer(draws, "draws", 1, 10**6), validate.seed(seed)
    confidence = check_confidence(confidence)
    if not isinstance(rivals, Sequence):
        raise TypeError(f"rivals must be a sequence of denoisers, got {type(rivals).__name__}; for one give [rival]")
    if not len(rivals) and not len(correctors):
        raise ValueError("rivals and correctors must not both be empty; a certificate needs a direction g")
    denoisers = [Repeat(f), *(Repeat(rival, f"rivals[{k}]") for k, rival in enumerate(rivals))]
    noisy = torch.cat([add_noise(x, level, seed=seed, start=k * len(x)) for k in range(draws)])
    with torch.no_grad():
        estimates = [torch.cat([wide(g(part, level)) for part in torch.split(noisy, BATCH)]) for g in denoisers]
        for g in denoisers:
            g.check()
        pairs = Pairs(noisy, estimates[0], estimates[0] - x.repeat(draws, 1, 1, 1))
        differences = [estimates[0] - rival for rival in estimates[1:]]
        order = torch.arange(draws * len(x), device=x.device).reshape(draws, -1)
        half = len(x) // 2
        values = torch.empty(draws * len(x), dtype=torch.float64, device=x.device)
        for fit, evaluate in ((order[:, :half], order[:, half:]), (order[:, half:], order[:, :half])):
            values[evaluate.flatten()] = _certify(pairs, differences, fit, evaluate.flatten(), correctors, seed)
    result = mean_estimate(values.reshape(draws, -1).mean(dim=0).cpu().numpy(), confidence)
    value, low, high = (max(0.0, float(end)) for end in (result.value, result.low, result.high))
    parts = f"{len(rivals)} rivals and {len(correctors)} regressions, cross-fitted; {result.method}"
    return Estimate(value, low, high, float(np.asarray(result.standard_error)), confidence, f"certificate of {parts}")


def _certify(
    pairs: Pairs, differences: list[Tensor], fit: Tensor, evaluate: Tensor, correctors: Sequence[Corrector], seed: int
) -> Tensor:
    """2 <r, g> - ||g||^2 of each pair of one half, g chosen on the other: fitted on 3 images of 4, combined on the fourth."""
    cut = fit.shape[1] - max(2, fit.shape[1] // 4)
    first, second = fit[:, :cut].flatten(), fit[:, cut:].flatten()
    learned = [c(pairs.part(first), pairs.part(second), seed=seed) for c in correctors]

    def candidates(where: Tensor) -> Tensor:
        part = pairs.part(where)
        g = [d[where] for d in differences] + [c(part.noisy, part.denoised) for c in learned]
        return torch.stack(g).flatten(2).double()

    basis, residual = candidates(second), pairs.residual[second].flatten(1).double()
    size = basis.square().sum(dim=(1, 2)).sqrt().clamp(min=1e-300)  # the candidates may be of any size
    scaled = basis / size[:, None, None]
    gram = torch.einsum("knd,lnd->kl", scaled, scaled)
    products = torch.einsum("knd,nd->k", scaled, residual)
    weights = torch.linalg.lstsq(gram + 1e-6 * torch.eye(len(gram)).to(gram), products[:, None]).solution[:, 0] / size
    g = torch.einsum("k,knd->nd", weights, candidates(evaluate))
    return 2 * (pairs.residual[evaluate].flatten(1).double() * g).sum(dim=1) - g.square().sum(dim=1)
