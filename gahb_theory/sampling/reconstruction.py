"""Images with given linear measurements, drawn from the distribution that a denoiser has learned.

The stochastic coarse-to-fine ascent of `gahb_theory.generate`, in which each estimate f(y) is replaced by the nearest image
that has the measurements m = A x. With P = A^+ A and x^c = A^+ m the step is that of Kadkhodaie and Simoncelli
(Solving linear inverse problems using the prior implicit in a denoiser, NeurIPS 2021, algorithm 2; there A^T = M with
orthonormal columns),

    d_t     = (Id - P)(f(y_t) - y_t) + (x^c - P y_t) ,    sigma_t^2 = ||d_t||^2 / dim ,
    y_(t+1) = y_t + h_t d_t + gamma_t z_t ,               gamma_t^2 = ((1 - beta h_t)^2 - (1 - h_t)^2) sigma_t^2 ,

from y_0 ~ N((Id - P) mean + x^c, sigma_0^2 Id), with the growing step h_t from h_0 = .01, beta = .01, sigma_0 = 1 and
sigma_inf = .01 of the authors. The measurements are met exactly; they are taken to be without noise.

The samples are not those of the posterior p(x | m), even where f is optimal. Measured directions carry noise of level
sigma_t on the way, so that the others are drawn given blurred measurements until they cool, at sigma^2 of about beta times
their variance. And a large step puts too little noise back: it leaves 1 - h / 2 of the variance, half of it where h has grown
to 1. On Gaussian patches of 8 x 8 pixels (`experiments/posteriors.py`, five kinds of measurements) the published constants
give the mean to .04 posterior deviations, and 53 to 57 % of the variance; a constant h = .02 with beta = .1 the mean to .13
and 90 to 111 %. Between two modes the weights are drawn towards those of the prior: .92 becomes .76, and .66 with the latter.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.sampling.coarse_to_fine import Level, Samples
from gahb_theory.sampling.consistency import Consistency
from gahb_theory.sampling.measurements import Measurement
from gahb_theory.sampling.samples import ascend, growing_step
from gahb_theory.sampling.starts import Starts

__all__ = ["reconstruct"]


@torch.no_grad()
def reconstruct(
    f: Denoiser,
    measured: Tensor,
    measurement: Measurement,
    *,
    seed: int = 0,
    start: int = 0,
    step: float | Callable[[int], float] | None = None,
    beta: float = 0.01,
    mean: float = 0.5,
    sigma_0: float = 1.0,
    sigma_inf: float = 0.01,
    max_steps: int = 10_000,
    level: Level | None = None,
    every: int | None = None,
    batch_size: int = 64,
) -> Samples:
    """Draw one image for each row of linear measurements, by the stochastic coarse-to-fine ascent.

    The default constants are those of the authors: about 660 steps, and less variety than the posterior has. A small
    constant step with a larger beta, such as step=0.02 and beta=0.1 (2300 steps), has about the right variances, but its
    means and mode weights are further off; step=0.01 and beta=0.01 with max_steps=50_000 is near in mean and variance.

    Parameters
    ----------
    f
        A denoiser f(y, sigma), blind or not; a network must be in eval mode.
    measured
        What measurement.A gave, n first, of the dtype and on the device of the samples. Several samples of one
        measurement m of shape (1, ...) are asked for with `m.expand(n, ...)`.
    measurement
        Any object with A(x) and A_adjoint(m), such as `Inpainting`, `BlockMeans`, `CircularBlur`, `Projections` or an
        operator of deepinv. It must treat each image of a batch alike.
    step
        h, a number in (0, 1], or a function of t = 1, 2, ...; None is `growing_step(0.01)`.
    mean
        Mean of the start where nothing is measured.
    seed, start, beta, sigma_0, sigma_inf, max_steps, level, every, batch_size
        As in `gahb_theory.generate`.

    Returns
    -------
    The samples, each with its status; `images` have the measurements that were given.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range, if no pseudo-inverse of the measurement is found, or if f returns another shape
        than it was given.
    RuntimeError
        If f is a network in train mode.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import GaussianDenoiser
    >>> from gahb_theory.sampling import Inpainting
    >>> together = torch.tensor([[1.0, 0.8], [0.8, 1.0]])  # two pixels, alike
    >>> f = GaussianDenoiser(torch.zeros(1, 1, 1, 2), together)
    >>> left = Inpainting(torch.tensor([[[[True, False]]]]))
    >>> samples = reconstruct(f, torch.full((400, 1), 2.0), left, mean=0.0, batch_size=400)
    >>> float(samples.images[..., 0].mean()), round(float(samples.images[..., 1].mean()), 1)
    (2.0, 1.6)
    """
    validate.denoiser(f)
    validate.evaluation_mode(f)
    if (
        not isinstance(measured, Tensor)
        or not measured.is_floating_point()
        or measured.ndim < 2
        or not measured.numel()
    ):
        raise TypeError(
            "measured must be a floating-point tensor of measurements, n first, as measurement.A returns it"
        )
    validate.finite(measured, "measured")
    consistent = Consistency.with_measurements(measurement, measured)
    known = validate.images(consistent.known, "what the pseudo-inverse of measurement returned")
    centre = consistent.nearest(torch.full_like(known, validate.number(mean, "mean")), known)
    starts = Starts(tuple(known.shape), seed, start, centre, sigma_0, batch_size, known.dtype, known.device)
    return ascend(
        f,
        starts,
        step=growing_step(0.01) if step is None else step,
        beta=beta,
        sigma_inf=sigma_inf,
        max_steps=max_steps,
        level=level,
        every=every,
        consistent=consistent,
    )
