"""What a denoiser gets wrong, learned from pairs: functions g of y alone that are near f(y) - E[x | y].

The residual r = f(y) - x has E[r | y] = f(y) - f*(y), so that a regression of r on y, or on y and f(y), learns the distance
to the posterior mean f*. Here are two regressions, a linear one and one by a small convolutional network. Each is fitted
on some pairs and chosen (its penalty, its number of steps) on others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory.denoisers.networks.initialisation import building
from gahb_theory.progress import progress_bar

__all__ = ["Corrector", "LinearCorrector", "NetworkCorrector", "Pairs"]

PENALTIES = tuple(10.0**k for k in range(-6, 3))
"""Of the ridge regression, in units of the largest squared singular value."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Noisy images y, what a denoiser made of them, and its residual f(y) - x."""

    noisy: Float[Tensor, "n c h w"]
    denoised: Float[Tensor, "n c h w"]
    residual: Float[Tensor, "n c h w"]

    def part(self, where: slice | Tensor) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.noisy[where], self.denoised[where], self.residual[where])


Correction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(y, f(y)) -> g, images of the same shape."""


@runtime_checkable
class Corrector(Protocol):
    """A regression of the residual on the noisy and the denoised image."""

    def __call__(self, fit: Pairs, choose: Pairs, *, seed: int) -> Correction:
        """The correction fitted on `fit`, its freedom chosen on `choose`."""
        ...


def certified(g: Tensor, residual: Tensor) -> float:
    """(E<r, g>)^2 / E||g||^2, what the direction of g certifies on these pairs; 0 where it points the wrong way."""
    product, size = float((g * residual).sum()), float(g.square().sum())
    return product**2 / size / len(g) if size > 0 and product > 0 else 0.0


@dataclass(frozen=True)
class LinearCorrector:
    """Ridge regression of the residual on (y, f(y)) and a constant, in double precision.

    Examples
    --------
    >>> import torch
    >>> y = torch.randn(60, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    >>> pairs = Pairs(y, y, 0.5 * y)
    >>> g = LinearCorrector()(pairs.part(slice(40)), pairs.part(slice(40, 60)), seed=0)
    >>> bool((g(y, y) - 0.5 * y).abs().max() < 1e-3)
    True
    """

    def __call__(self, fit: Pairs, choose: Pairs, *, seed: int) -> Correction:
        """The correction fitted on `fit`, with the penalty that certifies most on `choose`."""
        features, target = _features(fit.noisy, fit.denoised), fit.residual.flatten(1).double()
        centre, offset = features.mean(dim=0), target.mean(dim=0)
        u, s, v = torch.linalg.svd(features - centre, full_matrices=False)
        projected = u.mT @ (target - offset)

        def weights(penalty: float) -> Tensor:
            level = penalty * float(s[0]) ** 2
            return v.mT @ (projected * (s / (s.square() + level).clamp(min=1e-300))[:, None])

        tried = _features(choose.noisy, choose.denoised) - centre
        wanted = choose.residual.flatten(1).double()
        best = max(PENALTIES, key=lambda penalty: certified(tried @ weights(penalty) + offset, wanted))
        chosen = weights(best)

        def correction(y: Tensor, denoised: Tensor) -> Tensor:
            return ((_features(y, denoised) - centre) @ chosen + offset).reshape(y.shape).to(y.dtype)

        return correction


@dataclass(frozen=True)
class NetworkCorrector:
    """A network of three convolutions on (y, f(y)), trained by Adam on squared errors, in single precision.

    Parameters
    ----------
    channels
        Channels of the two hidden layers.
    steps
        Steps of training; those that certify most on the pairs to choose from are kept.
    batch_size, rate
        Pairs in a step, and the learning rate.
    """

    channels: int = 16
    steps: int = 240
    batch_size: int = 32
    rate: float = 4e-3

    def __call__(self, fit: Pairs, choose: Pairs, *, seed: int) -> Correction:
        """The correction fitted on `fit`, after the number of steps that certifies most on `choose`."""
        y, k = fit.noisy, fit.noisy.shape[1]
        centre, spread = float(y.mean()), float(y.std().clamp(min=1e-12))
        size = float(fit.residual.square().mean().sqrt().clamp(min=1e-12))

        def inputs(noisy: Tensor, denoised: Tensor) -> Tensor:
            return torch.cat([(noisy - centre) / spread, (noisy - denoised) / size], dim=1).float()

        with building(seed=seed):
            net = nn.Sequential(
                nn.Conv2d(2 * k, self.channels, 5, padding=2),
                nn.ReLU(),
                nn.Conv2d(self.channels, self.channels, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(self.channels, k, 3, padding=1),
            ).to(y.device)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.rate)
        features, target = inputs(fit.noisy, fit.denoised), (fit.residual / size).float()
        tried, wanted = inputs(choose.noisy, choose.denoised), choose.residual.float()
        best, retained = -1.0, {name: value.clone() for name, value in net.state_dict().items()}
        starts = list(range(0, max(1, len(y) - self.batch_size + 1), self.batch_size))
        with torch.enable_grad():
            for step in progress_bar(range(1, self.steps + 1), desc="regression", unit="step"):
                for group in optimiser.param_groups:
                    group["lr"] = self.rate * (1 - step / (self.steps + 1))
                start = starts[step % len(starts)]
                part = slice(start, start + self.batch_size)
                loss = (net(features[part]) - target[part]).square().mean()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                if step % 40 == 0 or step == self.steps:
                    with torch.no_grad():
                        score = certified(net(tried), wanted)
                    if score > best:
                        best, retained = score, {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(retained)
        net.eval().requires_grad_(False)
        return lambda noisy, denoised: (size * net(inputs(noisy, denoised))).to(noisy.dtype)


def _features(noisy: Tensor, denoised: Tensor) -> Tensor:
    return torch.cat([noisy.flatten(1), denoised.flatten(1)], dim=1).double()
