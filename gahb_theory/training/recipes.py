"""How a denoiser is trained: noise levels, loss, scale, optimiser, schedule.

Every recipe minimises a weighted mean squared error over images, noise levels and noise,

    E_sigma w(sigma) E ||x - f(x + sigma z)||^2,        w(sigma) = (sigma^2 + eps^2)^(-p/2), eps = 0.01 .

The minimiser is the posterior mean whatever w; recipes differ in how soon they come near it, and at which noise levels.
The published one has w = 1 (p = 0) and sigma = u^2, u uniform. Since the risk grows as sigma^(2 alpha/(alpha + 1)), its
loss is dominated by large noise; a weight of about p = 4/3 makes every noise level count alike.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.identity import IDENTITY_NAME

__all__ = ["Recipe"]

LARGEST_BUDGET, LARGEST_BATCH = 10**9, 2**20
"""The paper takes 250 million images; what is far beyond is a slip, and would run without an end."""
RATES = ("learning_rate", "kernel_rate", "ema_half_life")
WORDS = {
    "optimiser": ("muon", "adam"),
    "schedule": ("cosine", "halving"),
    "sigma_distribution": ("log_uniform", "uniform", "square"),
    "input_scale": ("deviation", "unit"),
}


@dataclass(frozen=True)
class Recipe:
    """How to train.

    The defaults are the best recipe that we know for the bias-free networks (`benchmarks/recipes.py` compares it with
    the published one); `Recipe.published()` is that of the paper.

    Parameters
    ----------
    images_seen
        Budget: images times passes, at most a thousand million.
    batch_size
        Images per step, over all processes.
    optimiser
        "muon": orthogonalised momentum for the kernels of convolutions, Adam for all else; "adam": Adam for all.
    learning_rate
        Of Adam, after a warm-up over the first hundredth of the budget.
    kernel_rate
        Of orthogonalised momentum: the spectral norm of a step. Not used by "adam".
    schedule
        "cosine": down to zero. "halving": halved ten times at equal distances, as the paper does every 100 epochs.
    sigma_distribution
        "log_uniform"; "uniform"; "square": the distribution of u^2 (the paper). Between sigma_min and sigma_max.
    sigma_min
        Smallest noise level; 0 is allowed but for "log_uniform".
    sigma_max
        Largest noise level.
    weight_power
        The exponent p of the weight above.
    input_scale
        "deviation": a network that is homogeneous in use is trained as s f(y / s), s the standard deviation of each
        noisy image. In use that is f(y); in training, where the normalisation divides by the spread of the whole batch,
        it gives loud and quiet images the same part in it. "unit": s = 1.
    frozen_part
        The last part of the training, in [0, 1], in which `BiasFreeNorm` divides by its running standard deviation, as it
        does in use, and not by that of the batch.
    gradient_limit
        A gradient longer than this many times its running mean length is shortened to it; None leaves all as they are.
    ema_half_life
        Half-life, in images, of the running average of the weights that is returned.
    seed
        Names the images, the order, the noise levels and the noise.

    See Also
    --------
    gahb_theory.train

    Examples
    --------
    >>> Recipe(images_seen=64, batch_size=16).optimiser, Recipe.published().optimiser
    ('muon', 'adam')
    """

    images_seen: int = 100_000
    batch_size: int = 32
    optimiser: Literal["muon", "adam"] = "muon"
    learning_rate: float = 2e-3
    kernel_rate: float = 0.05
    schedule: Literal["cosine", "halving"] = "cosine"
    sigma_distribution: Literal["log_uniform", "uniform", "square"] = field(
        default="log_uniform", metadata={IDENTITY_NAME: "sigma_law"}
    )
    sigma_min: float = 0.01
    sigma_max: float = 1.0
    weight_power: float = 4 / 3
    input_scale: Literal["deviation", "unit"] = "deviation"
    frozen_part: float = 0.3
    gradient_limit: float | None = 10.0
    ema_half_life: float = 2000.0
    seed: int = 0

    def __post_init__(self) -> None:
        given = vars(self)
        low = validate.sigma_level(self.sigma_min, "sigma_min", zero=True)
        high = validate.sigma_level(self.sigma_max, "sigma_max")
        limit = self.gradient_limit
        checked: dict[str, Any] = {
            "images_seen": validate.integer(self.images_seen, "images_seen", 1, LARGEST_BUDGET),
            "batch_size": validate.integer(self.batch_size, "batch_size", 1, LARGEST_BATCH),
            "seed": validate.seed(self.seed),
            "weight_power": validate.number(self.weight_power, "weight_power"),
            "frozen_part": validate.number(self.frozen_part, "frozen_part", least=0, most=1),
            "gradient_limit": None if limit is None else validate.number(limit, "gradient_limit", above=1),
            "sigma_min": low,
            "sigma_max": high,
        }
        checked |= {name: validate.positive(given[name], name) for name in RATES}
        checked |= {name: validate.one_of(given[name], name, allowed) for name, allowed in WORDS.items()}
        if not low < high:
            raise ValueError(f"sigma_min must lie in [0, sigma_max) = [0, {high:g}), got {low:g}")
        if self.sigma_distribution == "log_uniform" and low == 0:
            raise ValueError('sigma_distribution="log_uniform" needs sigma_min above 0, for example 0.01')
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def published(cls) -> "Recipe":
        """The recipe of the paper: Adam at 1e-3, halved ten times, on the plain squared error, sigma = u^2.

        Its budget, batch and running average are those of this library; `dataclasses.replace` changes them.

        Examples
        --------
        >>> Recipe.published().sigma_distribution
        'square'
        """
        return cls(
            optimiser="adam",
            learning_rate=1e-3,
            schedule="halving",
            sigma_distribution="square",
            sigma_min=0.0,
            weight_power=0.0,
            input_scale="unit",
            frozen_part=0.0,
            gradient_limit=None,
        )

    @property
    def steps(self) -> int:
        """Number of optimisation steps."""
        return math.ceil(self.images_seen / self.batch_size)

    def draw_sigma(self, u: Tensor) -> Tensor:
        """Return noise levels drawn from `sigma_distribution`, made of uniform `u` in [0, 1], of the shape of `u`."""
        _check_batch(u, "u", most=1.0)
        low, high = self.sigma_min, self.sigma_max
        if self.sigma_distribution == "square":
            return (low**0.5 + (high**0.5 - low**0.5) * u) ** 2
        if self.sigma_distribution == "uniform":
            return low + (high - low) * u
        return low * (high / low) ** u

    def weight(self, sigma: Tensor) -> Tensor:
        """Return w(sigma), the weight in the loss of each of several noise levels."""
        _check_batch(sigma, "sigma")
        return (sigma**2 + 1e-4) ** (-self.weight_power / 2)

    def rate(self, step: int, highest: float) -> float:
        """Return the learning rate of a step, `highest` being what the schedule begins with after the warm-up."""
        step, highest = validate.integer(step, "step", 0), validate.number(highest, "highest", least=0)
        progress = step / self.steps
        warm = min(1.0, (step + 1) / max(1, self.steps // 100))
        factor = 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 0.5 ** int(10 * progress)
        return highest * warm * factor


def _check_batch(values: Tensor, name: str, most: float = torch.finfo(torch.float32).max) -> None:
    """Refuse what is no tensor of numbers in [0, most]; on a GPU, where a look would wait, only what is no tensor."""
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.layout != torch.strided:
        raise TypeError(f"{name} must be a dense floating-point tensor, got {type(values).__name__}")
    if values.device.type == "cpu" and not bool(((values >= 0) & (values <= most)).all()):
        raise ValueError(f"{name} must hold finite numbers between 0 and {most:.3g}")
