"""Null models that are built to lack one property: locality and equivariance, a symmetric Jacobian, a knowledge of the noise.

Permuted     Pi^T f(Pi y), Pi a permutation of the pixels: as good a denoiser of permuted images, but neither local nor
             equivariant to shifts
Displaced    the Wiener filter moved by one pixel: its Jacobian is not symmetric
FixedLevel   the Wiener filter of one noise level, whatever the noise
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.subjects import Setting
from gahb_theory.randomness import Component, uniforms

__all__ = ["Displaced", "FixedLevel", "Permuted"]


@dataclass(frozen=True)
class Permuted:
    """The subject on images whose pixels are permuted, and put back."""

    name: str = "subject with permuted pixels"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        f = setting.f
        drawn = uniforms(1, setting.images[0, 0].numel(), seed=setting.seed, component=Component.PERMUTATION)
        order = drawn[0].argsort()
        back = order.argsort()

        def permuted(y: Tensor, sigma: float | Tensor) -> Tensor:
            mixed = y.flatten(2)[:, :, order.to(y.device)].reshape(y.shape)
            return f(mixed, sigma).flatten(2)[:, :, back.to(y.device)].reshape(y.shape)

        return permuted


@dataclass(frozen=True)
class Displaced:
    """The Wiener filter of the training images, its result moved by one pixel."""

    name: str = "Wiener filter moved by a pixel"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        f = setting.wiener
        return lambda y, sigma: torch.roll(f(y, sigma), 1, dims=3)


@dataclass(frozen=True)
class FixedLevel:
    """The Wiener filter of one noise level.

    Parameters
    ----------
    sigma
        The level that it is made for.
    """

    sigma: float = 0.2
    name: str = "Wiener filter of one noise level"

    def __post_init__(self) -> None:
        validate.sigma_level(self.sigma)

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        f = setting.wiener
        return lambda y, sigma: f(y, self.sigma)
