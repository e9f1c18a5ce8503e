"""Denoisers that are the gradient of an energy, for which equation (6) holds exactly.

For a network N that is homogeneous of order 1, as one of convolutions and ReLUs without additive constants is,

    phi(y) = 1/2 <y, N(y)>,        f(y) = grad phi(y) = 1/2 (N(y) + J_N(y)^T y) .

phi is homogeneous of order 2, so that f is homogeneous of order 1, and its Jacobian S(y), the Hessian of phi, is symmetric.
By Euler's theorem f(y) = S(y) y, hence

    f(y) = sum_k lambda_k(y) <y, e_k(y)> e_k(y),        S e_k = lambda_k e_k,        e_k orthonormal,

to rounding, and not only up to the antisymmetric part of a Jacobian (Kadkhodaie et al. 2024, equation 6). A network that is
given sigma may be homogeneous in y and sigma together, N(s y, s sigma) = s N(y, sigma); then S is symmetric, and

    f(y, sigma) = S y + sigma df/dsigma :

equation (6) has a remainder, which is the price: a blind gradient is far from the posterior mean where images differ in the
information they hold (`gahb_theory.theory.symmetry_cost`), and a gradient that is given sigma is not. Where N is linear
around y, S = 1/2 (J_N + J_N^T); f jumps from one linear region of N to the next, and trains worse than N for it. A smooth
network (`smooth`) has no jumps. And f(y) - y is the gradient of phi(y) - ||y||^2 / 2, so that Miyasawa's
f(y) = y + sigma^2 grad log p_sigma(y) gives the density of the noisy images,

    log p_sigma(y) = (phi(y) - ||y||^2 / 2) / sigma^2 + constant .

Denoisers that are gradients: Cohen et al. 2021 and Hurault et al. 2022. A learned energy: Guth, Kadkhodaie and Simoncelli
2025. None of these is homogeneous, and f(y) is not S y there.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from gahb_theory import validate
from gahb_theory.denoisers.base import Network, same_kind
from gahb_theory.denoisers.networks.bias_free import BiasFreeNorm
from gahb_theory.randomness import Component, step_generator

__all__ = ["Conservative", "conservative_from"]

FIRST_GAIN, CALIBRATION_IMAGES, SMALLEST_DEVIATION = 0.1, 64, 1e-6
"""Of the normalisation before training; a channel of a ReLU that never opens has the deviation 0."""
MARK = "is_gradient"
"""Stands in the state, whose other names are those of any module that holds the network."""
SIDES = tuple(2**k for k in range(3, 9))
ALLOWED = 1e-8
REASON = "f(y) = S y holds for networks that are homogeneous"


class Conservative(Network):
    """The gradient of the energy phi(y) = 1/2 <y, N(y)> of a network N: a denoiser whose Jacobian is symmetric.

    Parameters
    ----------
    network
        A network of this library without additive constants: blind, as `SmoothUNet`, which trains best, `UNet`, `BFCNN`,
        `WindowedCNN`, `DilatedUNet` and others; or given sigma, as `SmoothConditionedUNet` and `DRUNet`. A copy is taken,
        with its weights.

    Attributes
    ----------
    network
        N, always in eval mode.

    Raises
    ------
    TypeError
        If `network` is no `Network`, or is conservative already.
    ValueError
        If it has additive constants, batch or layer normalisation, activations that are not homogeneous, mixes the
        images of a batch, or returns something else than images of the shape of its input.

    Notes
    -----
    It is trained by `train`, saved and loaded as N is. Normalisation is frozen: `BiasFreeNorm` divides by its running
    standard deviation in training too, which stays what it is in `network`, or what `calibrate` makes of it where it
    has never been trained. Statistics of a batch would couple its images: the gradient of the sum of their energies has
    cross terms, and f in use would not be the f that was trained.

    A call costs a pass through N forwards and one back; a step of training about twice what it costs for N.

    References
    ----------
    R. Cohen, Y. Blau, D. Freedman, E. Rivlin, It has potential: gradient-driven denoisers for convergent solutions to
    inverse problems, NeurIPS 2021. S. Hurault, A. Leclaire, N. Papadakis, Gradient step denoiser for convergent
    plug-and-play, ICLR 2022. F. Guth, Z. Kadkhodaie, E. P. Simoncelli, Learning normalized image densities via dual
    score matching, NeurIPS 2025.

    See Also
    --------
    gahb_theory.UNet, gahb_theory.jacobian, gahb_theory.verify

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import UNet
    >>> from gahb_theory.jacobians import jacobian
    >>> f = Conservative(UNet(channels=4, blocks=1)).double().eval()
    >>> y = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> J = jacobian(f, y, 0.1)
    >>> J.asymmetry(), J.homogeneity_error() < 1e-12
    (0.0, True)
    >>> f.log_density(y, 0.1).shape
    torch.Size([1])
    """

    homogeneous = True
    network: Network

    def __init__(self, network: Network) -> None:
        super().__init__()
        if isinstance(network, Conservative):
            raise TypeError("network is conservative already, and the gradient of its own energy; use it as it is")
        if not isinstance(network, Network):
            raise TypeError(
                f"network must be a Network of this library, such as UNet or BFCNN, got {type(network).__name__}; "
                "write your own as a subclass of gahb_theory.denoisers.Network"
            )
        _check_layers(network)
        _check_values(network)
        self.network = copy.deepcopy(network)
        self.image_channels, self.given_sigma = network.image_channels, network.given_sigma
        self.register_buffer(MARK, torch.zeros((), dtype=torch.int64, device="cpu"))
        self.train(network.training)

    def train(self, mode: bool = True) -> "Conservative":
        """Set the mode of this module; the network inside stays in eval mode, its normalisation frozen."""
        super().train(mode)
        self.network.eval()
        return self

    @property
    def configuration(self) -> dict[str, Any]:
        """Name and arguments of the network inside."""
        return {"network": type(self.network).__name__, "arguments": self.network.configuration}

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """1/2 (N(y) + J_N(y)^T y); also under `no_grad`, and with a graph of its own where one is wanted."""
        self._check_frozen()
        if torch._C._functorch.peek_interpreter_stack() is not None:  # inside vmap, jvp and the like
            output, pull = torch.func.vjp(lambda x: self.network.estimate(x, sigma), y)
            return (output + pull(y)[0]) / 2
        wanted = torch.is_grad_enabled() and (y.requires_grad or any(p.requires_grad for p in self.parameters()))
        with torch.inference_mode(False), torch.enable_grad():
            point = y.view_as(y) if y.requires_grad else y.clone().requires_grad_()
            output = self.network.estimate(point, sigma)
            # the cotangent is handed over, and not <y, N(y)> differentiated, so that no factor of it has to be saved
            (pulled,) = torch.autograd.grad(output, point, point, create_graph=wanted)
        with torch.set_grad_enabled(wanted):
            return (output + pulled) / 2

    def energy(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor | None = None) -> Float[Tensor, " n"]:
        """The energy phi(y) = 1/2 <y, N(y)> of each image, whose gradient is f(y).

        Parameters
        ----------
        y
            Noisy images.
        sigma
            The standard deviation of their noise; a blind network needs none.

        Raises
        ------
        TypeError
            If the network is given sigma, and this is not.
        """
        same_kind(self, validate.images(y, "y"))
        if sigma is None and self.given_sigma:
            raise TypeError(f"{type(self.network).__name__} is given sigma, and so is its energy: energy(y, sigma)")
        return (y * self._inside(y, 1.0 if sigma is None else sigma)).sum((1, 2, 3)) / 2

    def log_density(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """The logarithm of the density of each noisy image, up to a constant that depends on sigma alone.

        Its gradient is the score (f(y) - y) / sigma^2. It is the density of y in so far as f is the posterior mean at
        that noise level.

        Parameters
        ----------
        y
            Noisy images.
        sigma
            The standard deviation of their noise, one number or one for each image.
        """
        same_kind(self, validate.images(y, "y"))
        variance = validate.batch_sigma(sigma, y) ** 2
        return (y * (self._inside(y, sigma) - y) / (2 * variance)).sum((1, 2, 3))

    def calibrate(self, shape: Sequence[int]) -> None:
        """Set a normalisation that has never been in use: gains of 0.1, deviations of its inputs as for white noise.

        `train` calls this before the first step; on small C^alpha images it is worth 1 to 3 dB beside deviations of 1,
        since signals of all layers are of one size. Deviations that are not all 1, as those of a trained network, are
        left with their gains.

        Parameters
        ----------
        shape
            Of the images, (channels, height, width).
        """
        shape = validate.sizes(shape, 3)
        norms = [module for module in self.network.modules() if isinstance(module, BiasFreeNorm)]
        if any(bool((norm.running_sd != 1).any()) for norm in norms):
            return

        def measure(norm: Any, inputs: tuple[Tensor]) -> None:
            norm.running_sd.copy_(inputs[0].std((0, 2, 3)).clamp_min(SMALLEST_DEVIATION))

        hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
        weight = next(self.parameters())
        generator = step_generator("cpu", Component.CALIBRATION)
        noise = torch.randn(CALIBRATION_IMAGES, *shape, generator=generator, dtype=torch.float32, device="cpu").to(
            weight
        )
        try:
            with torch.no_grad():
                for norm in norms:
                    norm.gamma.fill_(FIRST_GAIN)
                self._inside(noise, 1.0)
        finally:
            for hook in hooks:
                hook.remove()

    def _inside(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """N(y), or N(y, sigma)."""
        self._check_frozen()
        return self.network.estimate(y, validate.batch_sigma(sigma, y, zero=True))

    def _check_frozen(self) -> None:
        if any(module.training for module in self.network.modules()):
            raise RuntimeError(
                "the network inside is in train mode, but its normalisation must be frozen, since statistics of a "
                "batch couple its images; call f.train() or f.eval() on the conservative denoiser itself"
            )


def conservative_from(
    known: Mapping[str, Callable[..., Network]], network: str, arguments: Mapping[str, Any]
) -> Conservative:
    """The denoiser of a `Conservative.configuration`; `known` makes the networks from their names."""
    return Conservative(known[network](**arguments))


def _check_layers(network: Network) -> None:
    """Refuse what is known to be wrong by its kind, whatever its weights are."""
    name = type(network).__name__
    for place, module in network.named_modules():
        kind = type(module).__name__
        if isinstance(module, _NormBase | nn.LayerNorm | nn.GroupNorm):
            raise ValueError(
                f"{name} has {kind} ({place}), which subtracts means and divides by statistics of the batch or the "
                "image: in training it couples the images of a batch, and it is not linear; use BiasFreeNorm, which is "
                "frozen here, as UNet and BFCNN do"
            )
        if isinstance(getattr(module, "bias", None), Tensor):
            raise ValueError(
                f"{name} has additive constants ({place}.bias), but {REASON}, N(s y) = s N(y); take a "
                "network without them: UNet, BFCNN (DnCNN without constants), or another one with bias=False"
            )


def _check_values(network: Network) -> None:
    """Refuse a network that is not homogeneous on images of noise, or depends on sigma unsaid.

    Its weights are moved off special values.
    """
    if any(p.is_meta for p in network.parameters()):
        return  # a sketch without values
    name = type(network).__name__
    generator = step_generator("cpu", Component.CHECKS)
    moved = copy.deepcopy(network).cpu().double().eval().requires_grad_(False)
    for p in moved.parameters():
        typical = float(p.abs().mean()) or 1.0
        p.add_(0.1 * typical * torch.randn(p.shape, generator=generator, dtype=p.dtype, device="cpu"))
    size = getattr(network, "size", None)
    sides = (size,) if isinstance(size, int) else SIDES
    failures: list[str] = []
    for side in sides:
        y = torch.randn(2, network.image_channels, side, side, generator=generator, dtype=torch.float64, device="cpu")
        one = y.new_ones(1, 1, 1, 1)
        try:
            with torch.no_grad():
                base, louder = moved.estimate(y, one), moved.estimate(3 * y, 3 * one)
                alone, other = moved.estimate(y[:1], one), moved.estimate(y, 0.1 * one)
            break
        except (ValueError, RuntimeError) as error:
            failures.append(str(error).splitlines()[0])
    else:
        raise ValueError(f"{name} could not be run on images of {network.image_channels} channel(s): {failures[-1]}")
    if base.shape != y.shape:
        raise ValueError(
            f"{name} must return images of the shape of its input, {tuple(y.shape)}, got {tuple(base.shape)}; "
            "<y, N(y)> needs both to be alike"
        )
    if _differ(alone, base[:1]):
        raise ValueError(
            f"{name} does not treat each image of a batch on its own: with statistics of the batch, or random numbers, "
            "the energy of an image depends on the others; normalise by constants, as BiasFreeNorm in eval mode"
        )
    if _differ(other, base) and not network.given_sigma:
        raise ValueError(
            f"{name} depends on sigma, but its attribute given_sigma is False; set it to True in the class"
        )
    if _differ(louder, 3 * base):
        equation = "N(s y, s sigma) = s N(y, sigma)" if network.given_sigma else "N(s y) = s N(y)"
        raise ValueError(
            f"{name} has additive constants, or activations that are not piecewise linear, but {REASON}, "
            f"{equation}; leave out constants, and take ReLU, or SmoothUNet"
        )


def _differ(a: Tensor, b: Tensor) -> bool:
    return not float((a - b).norm()) <= ALLOWED * float(b.norm())
