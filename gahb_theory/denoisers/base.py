"""The interface of a denoiser.

A denoiser estimates a clean image from y = x + sigma z, z ~ N(0, Id). In this library it is any callable

    x_hat = f(y, sigma),     y, x_hat: (batch, channels, height, width),     sigma: a number or a (batch,) tensor,

each image of the batch treated on its own. Blind networks accept sigma and do not use it. The signature is the one that
deepinv uses. Intensities and sigma share their unit; images lie in [0, 1].
"""

import inspect
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate

__all__ = ["Denoiser", "DenoiserModule", "Network", "same_kind"]


@runtime_checkable
class Denoiser(Protocol):
    """Anything that can be called as f(y, sigma) and returns the estimated clean images.

    See Also
    --------
    gahb_theory.DenoiserModule, gahb_theory.adapt, gahb_theory.testing.check_denoiser

    Examples
    --------
    >>> import gahb_theory as gt
    >>> f = lambda y, sigma: 0.9 * y
    >>> gt.testing.check_denoiser(f).homogeneity_error < 1e-6
    True
    """

    def __call__(self, y: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Estimate the clean images."""
        ...


class DenoiserModule(nn.Module):
    """A denoiser of ours: checks its input at the border, then calls `estimate`, which a subclass writes.

    The output has the channels of the input, but for networks that take a condition in further channels.

    See Also
    --------
    gahb_theory.Denoiser, gahb_theory.train, gahb_theory.save_denoiser

    Examples
    --------
    >>> class Darker(DenoiserModule):
    ...     def estimate(self, y, sigma):
    ...         return 0.9 * y
    >>> Darker()(torch.ones(1, 1, 2, 2), 0.1).mean()
    tensor(0.9000)
    """

    homogeneous: bool = False
    """True if f(s y, s sigma) = s f(y, sigma) for s > 0 in eval mode; False says nothing."""

    takes_zero: bool = False
    """Whether sigma = 0 is a noise level, too; where the estimate divides by sigma it is none."""

    def forward(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, "n k h w"]:
        """Estimate the clean images from the noisy images `y` of standard deviation `sigma`.

        Parameters
        ----------
        y
            Noisy images, shape (n, channels, height, width).
        sigma
            A number, or a tensor of shape (), (1,), (n,) or (n, 1, 1, 1), above 0; or 0, where `takes_zero`.
        """
        if self.training:  # training checks its loss instead, and does not make the device wait here
            return self.estimate(y, torch.as_tensor(sigma, dtype=y.dtype, device=y.device).reshape(-1, 1, 1, 1))
        validate.images(y, "y")
        if torch.compiler.is_compiling() and not isinstance(sigma, Tensor):  # a number that may change is hidden, too
            sigma = torch.full((), sigma, dtype=y.dtype, device=y.device)
        level = validate.batch_sigma(sigma, y, zero=self.takes_zero)
        validate.warn_of_units(level.detach(), y)
        return self.estimate(y, level)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n k h w"]:
        """Estimate the clean images; `sigma` has shape (n, 1, 1, 1) or (1, 1, 1, 1)."""
        raise NotImplementedError


class Network(DenoiserModule):
    """A denoiser that is trained, saved and loaded: its arguments make it anew."""

    takes_zero = True
    image_channels: int
    """Channels of the images that it returns."""
    given_sigma: bool = False
    """Whether the estimate depends on sigma, and not on the noisy image alone."""

    def forward(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, "n k h w"]:
        """Estimate the clean images; their type and device must be those of the weights."""
        same_kind(self, y)
        return super().forward(y, sigma)

    @property
    def configuration(self) -> dict[str, Any]:
        """The arguments that make this network, as JSON values: each stands in the attribute of its name."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name not in ("self", "seed")]
        try:
            values = {name: getattr(self, name) for name in names}
        except AttributeError as error:
            raise NotImplementedError(
                f"{type(self).__name__} must keep each argument of its constructor in an attribute of that name, or have a "
                f"property configuration: {error}"
            ) from error
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def same_kind(network: nn.Module, y: Tensor) -> None:
    """Refuse images of another dtype or device than the first weight of a network."""
    weight = None
    for weight in network.parameters():  # noqa: B007  # torch 2.6 does not compile next()
        break
    if weight is None or not isinstance(y, Tensor) or not y.is_floating_point() or y.is_meta:
        return
    if weight.dtype != y.dtype and not torch.is_autocast_enabled(y.device.type):
        raise TypeError(
            f"the weights of this network are {weight.dtype}, but the images are {y.dtype}; convert the images with "
            f".to({weight.dtype}), or the network with .to({y.dtype})"
        )
    if weight.device != y.device:
        raise ValueError(
            f"the weights of this network are on {weight.device}, but the images are on {y.device}; move the images "
            f'with .to("{weight.device}"), or the network with .to("{y.device}")'
        )
