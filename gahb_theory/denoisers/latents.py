"""Denoisers of latents: images of an autoencoder's inner space, with the maps there and back.

    x  --encode-->  z  --f(., sigma)-->  z_hat  --decode-->  x_hat

A latent diffusion denoises z = encode(x), not x: white noise of z is no white noise of x, and the Jacobian, its eigenvectors
and all risks are those of latents, in their units. What is called an image elsewhere in the library is a latent here; decode it
to look at it. An eigenvector v is seen as (decode(z + h v) - decode(z - h v)) / 2h.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Wrapper, class_name, tensor_in

__all__ = ["AdaptedLatents", "adapt_latents"]


class AdaptedLatents(Wrapper):
    """A denoiser of latents with its autoencoder; build it with `adapt_latents`. Its `images` are latents."""

    def __init__(
        self, f: Callable[..., Any], encoder: Callable[[Tensor], Tensor], decoder: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(f)
        self.encoder = validate.function(encoder, "encode", "encode(x)")
        self.decoder = validate.function(decoder, "decode", "decode(z)")
        self.takes_zero = getattr(f, "takes_zero", False)

    @property
    def configuration(self) -> dict[str, Any]:
        """The denoiser of the latents, as JSON values; they do not make it anew."""
        return {"latents": class_name(self.net), "inside": getattr(self.net, "configuration", {})}

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """Return the latents of clean images with intensities in [0, 1]."""
        return self._of_images(self.encoder, validate.images(x, "x"), "encode")

    def decode(self, z: Float[Tensor, "n k i j"]) -> Float[Tensor, "n c h w"]:
        """Return the images of latents, intensities in [0, 1]."""
        return self._of_images(self.decoder, validate.images(z, "z"), "decode")

    def direction(self, z: Float[Tensor, "1 k i j"], v: Tensor, step: float = 1e-2) -> Float[Tensor, "1 c h w"]:
        """Return how the image changes where the latent `z` moves along `v`, by central differences of the decoder."""
        move = step * v.reshape(z.shape)
        return (self.decode(z + move) - self.decode(z - move)) / (2 * validate.positive(step, "step"))

    def estimate(self, y: Float[Tensor, "n k i j"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n k i j"]:
        """Return the clean latents."""
        return self.net(y, sigma.flatten().expand(len(y)))

    def _of_images(self, f: Callable[[Tensor], Any], x: Tensor, name: str) -> Tensor:
        returned = tensor_in(f(x))
        if not isinstance(returned, Tensor) or returned.ndim != 4 or len(returned) != len(x):
            got = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
            raise TypeError(f"{name} must return a tensor (n, channels, height, width), got {got}")
        return returned


def adapt_latents(
    f: Callable[..., Any], encode: Any, decode: Callable[[Tensor], Tensor] | None = None
) -> AdaptedLatents:
    """Return a denoiser of latents, with the maps from images in [0, 1] to latents and back.

    Parameters
    ----------
    f
        A denoiser f(z, sigma) of latents, such as ``adapt_diffusion(net, scheduler, low=0, high=1)``, which leaves latents as
        they are.
    encode
        Images in [0, 1] to latents in the units that `f` knows; or an autoencoder of diffusers (`AutoencoderKL`), whose
        `encode`, `decode` and `config.scaling_factor` are then used, the mean for its random latent.
    decode
        Latents to images; not given beside an autoencoder.

    Examples
    --------
    >>> import torch
    >>> from torch.nn.functional import pixel_shuffle, pixel_unshuffle
    >>> f = adapt_latents(lambda z, sigma: 0.5 * z, lambda x: pixel_unshuffle(x, 2), lambda z: pixel_shuffle(z, 2))
    >>> z = f.encode(torch.rand(1, 1, 8, 8))
    >>> z.shape, f.decode(f(z, 0.1)).shape
    (torch.Size([1, 4, 4, 4]), torch.Size([1, 1, 8, 8]))
    """
    if decode is None:
        encode, decode = _of_autoencoder(encode)
    return AdaptedLatents(f, encode, decode)


def _of_autoencoder(vae: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The maps of an autoencoder of diffusers, which knows images in [-1, 1] and is scaled outside of itself."""
    config = getattr(vae, "config", None)
    scale = getattr(config, "scaling_factor", None)
    if not callable(getattr(vae, "encode", None)) or not callable(getattr(vae, "decode", None)) or scale is None:
        raise TypeError(
            "encode must be a function beside decode, or an autoencoder that has encode, decode and config.scaling_factor, "
            f"got {type(vae).__name__}"
        )
    shift = getattr(config, "shift_factor", None) or 0.0

    def encode(x: Tensor) -> Tensor:
        returned = vae.encode(2 * x - 1)
        latent = getattr(returned, "latent_dist", None)
        z = returned.latents if latent is None else latent.mode()
        return scale * (z - shift)

    def decode(z: Tensor) -> Tensor:
        return (tensor_in(vae.decode(z / scale + shift)) + 1) / 2

    return encode, decode
