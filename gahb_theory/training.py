"""Training a denoiser.

Minimise the weighted mean squared error over images, noise levels and noise,

    E_sigma w(sigma) E ||x - f(x + sigma z)||^2,        w(sigma) = (sigma^2 + eps^2)^(-p/2), eps = 0.01 .

The minimiser is the posterior mean whatever w. The paper has w = 1 (p = 0) and sigma = u^2, u uniform. Since the risk
grows as sigma^(2 alpha/(alpha + 1)), a weight of about p = 4/3 makes every noise level count alike; the published
loss is dominated by large noise.

Everything a step does is a pure function of (seed, step): its images, noise levels and noise. A run that was killed
goes on from its last checkpoint and ends with the same bits. On several GPUs:

    torchrun --nproc-per-node 8 -m gahb_theory train --run runs/mine ...
"""

import copy
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.checkpoints import NETWORKS, save_denoiser
from gahb_theory.images.base import ImageClass
from gahb_theory.images.stream import Data, image_stream
from gahb_theory.processes import interrupts_deferred, processes
from gahb_theory.randomness import step_generator
from gahb_theory.training_log import VALIDATION_SEED, TrainingLog

__all__ = ["Recipe", "train"]

STATE = "state.safetensors"
SECONDS_BETWEEN_CHECKPOINTS = 45.0

Network = TypeVar("Network", bound=DenoiserModule)


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults are those of the paper but for the budget and the schedule.

    Parameters
    ----------
    images_seen
        Budget: images times passes.
    batch_size
        Images per step, over all processes.
    learning_rate
        Of Adam, after a warm-up over the first hundredth of the budget.
    schedule
        "cosine": down to zero. "halving": halved ten times at equal distances, as the paper does every 100 epochs.
    sigma_law
        "square": the law of u^2 (the paper); "uniform"; "log_uniform". Between sigma_min and sigma_max.
    sigma_min
        Smallest noise level; 0 is allowed but for "log_uniform".
    sigma_max
        Largest noise level.
    weight_power
        The exponent p of the weight above.
    ema_half_life
        Half-life, in images, of the running average of the weights that is returned.
    seed
        Names the images, the order, the noise levels and the noise.
    """

    images_seen: int = 100_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "halving"] = "cosine"
    sigma_law: Literal["square", "uniform", "log_uniform"] = "square"
    sigma_min: float = 0.0
    sigma_max: float = 1.0
    weight_power: float = 0.0
    ema_half_life: float = 2000.0
    seed: int = 0

    def __post_init__(self) -> None:
        validate.integer(self.images_seen, "images_seen", 1)
        validate.integer(self.batch_size, "batch_size", 1)
        validate.positive(self.learning_rate, "learning_rate")
        validate.positive(self.ema_half_life, "ema_half_life")
        validate.integer(self.seed, "seed", 0)
        validate.sigma_level(self.sigma_max, "sigma_max")
        if self.schedule not in ("cosine", "halving"):
            raise ValueError(f'schedule must be "cosine" or "halving", got {self.schedule!r}')
        if self.sigma_law not in ("square", "uniform", "log_uniform"):
            raise ValueError(f'sigma_law must be "square", "uniform" or "log_uniform", got {self.sigma_law!r}')
        if not math.isfinite(self.weight_power):
            raise ValueError(f"weight_power must be finite, got {self.weight_power}")
        if not 0 <= self.sigma_min < self.sigma_max:
            raise ValueError(f"sigma_min must lie in [0, sigma_max) = [0, {self.sigma_max}), got {self.sigma_min}")
        if self.sigma_law == "log_uniform" and self.sigma_min == 0:
            raise ValueError('sigma_law="log_uniform" needs sigma_min above 0, for example 0.01')

    @property
    def steps(self) -> int:
        """Number of optimisation steps."""
        return math.ceil(self.images_seen / self.batch_size)

    def draw_sigma(self, u: Tensor) -> Tensor:
        """Noise levels of the law, from numbers uniform in [0, 1)."""
        low, high = self.sigma_min, self.sigma_max
        if self.sigma_law == "square":
            return (low**0.5 + (high**0.5 - low**0.5) * u) ** 2
        if self.sigma_law == "uniform":
            return low + (high - low) * u
        return low * (high / low) ** u

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        progress = step / self.steps
        warm = min(1.0, (step + 1) / max(1, self.steps // 100))
        factor = 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 0.5 ** int(10 * progress)
        return self.learning_rate * warm * factor


def train(
    f: Network,
    data: Data,
    images_seen: int | None = None,
    *,
    recipe: Recipe | None = None,
    run: str | Path | None = None,
    validation: Tensor | None = None,
    **changes: Any,
) -> Network:
    """Train a copy of `f` and return it, averaged over the last steps, in eval mode.

    Parameters
    ----------
    f
        A denoiser module; it is left as it was. The copy follows its device. On a CUDA device the forward pass runs in
        bfloat16 autocast.
    data
        An image class (every image is fresh), a fixed set of images (n, c, h, w), or a torch Dataset of images (c, h,
        w), or of tuples that begin with one.
    images_seen
        Budget; short for `recipe=Recipe(images_seen=...)`.
    recipe
        How to train.
    run
        A directory for the checkpoint (at least every minute), the log (log.jsonl) and the final denoiser, which
        `load_denoiser` reads. The same call goes on where a killed one stopped. None keeps nothing.
    validation
        Images for the PSNR in the log and the progress bar; by default 64 images of the class with another seed, or the
        first 64 of a fixed set.
    **changes
        Any field of `Recipe`.

    Examples
    --------
    >>> from gahb_theory.denoisers.networks import UNet
    >>> from gahb_theory.images import Disks
    >>> f = train(UNet(channels=4, blocks=1), Disks(size=16), images_seen=64, batch_size=16)
    >>> f.training
    False
    """
    if not isinstance(f, torch.nn.Module):
        raise TypeError(f"f must be a torch module to be trained, got {type(f).__name__}")
    if images_seen is not None:
        changes["images_seen"] = images_seen
    recipe = replace(recipe or Recipe(), **changes)
    draw, held_out = image_stream(data, recipe.seed), _validation(data, validation)
    device = next(f.parameters()).device
    with processes() as (rank, world), interrupts_deferred() as interrupt:
        if recipe.batch_size % world:
            raise ValueError(f"batch_size must be a multiple of the {world} processes, got {recipe.batch_size}")
        mine = slice(rank * recipe.batch_size // world, (rank + 1) * recipe.batch_size // world)

        model = copy.deepcopy(f).train().requires_grad_(True)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(model).eval().requires_grad_(False)
        optimiser = _adam(model, recipe)
        state = _named_state(model, average, optimiser)
        first = 0
        keeper = run is not None and rank == 0
        if run is not None:
            run = runs.open_run(run, _configuration(f, data, recipe)) if rank == 0 else Path(run)
            first = _load(run / STATE, state)
        wrapped = torch.nn.parallel.DistributedDataParallel(model) if world > 1 else model
        every = SECONDS_BETWEEN_CHECKPOINTS
        log = TrainingLog(recipe, run if keeper else None, held_out, first, every=every, silent=rank > 0)

        for step in range(first, recipe.steps):
            x = draw(step * recipe.batch_size + mine.start, mine.stop - mine.start)
            x = x.to(device, memory_format=torch.channels_last)
            generator = step_generator(device, recipe.seed, step)
            u = torch.rand(recipe.batch_size, generator=generator, device=device)[mine]
            z = torch.randn((recipe.batch_size, *x.shape[1:]), generator=generator, device=device)[mine]
            sigma = recipe.draw_sigma(u)
            weight = (sigma**2 + 1e-4) ** (-recipe.weight_power / 2)
            y = x + sigma[:, None, None, None] * z
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                x_hat = wrapped(y, sigma)
            loss = (weight * (x_hat.float() - x).square().sum((1, 2, 3))).mean()
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            _update_average(average, model, recipe, step)

            last = step + 1 == recipe.steps
            if log.update(step, loss.detach(), average, now=last or interrupt.received is not None) and keeper:
                card = _configuration(f, data, recipe) | {"validation_psnr": log.psnr, "log": json.loads(log.lines[-1])}
                _save(Path(str(run)), state, step + 1, average, card)
            interrupt.raise_if_received()

        log.close()
        if world > 1:
            for buffer in average.buffers():
                dist.broadcast(buffer, 0)
    return average.requires_grad_(True)


def _validation(data: Data, given: Tensor | None) -> Tensor:
    if given is not None:
        return validate.images(given, "validation")
    if isinstance(data, ImageClass):
        return data.sample(64, seed=VALIDATION_SEED)
    return image_stream(data, 0)(0, min(64, len(data)))  # type: ignore[arg-type]


def _adam(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam with its state in place from the start, so that it is saved and loaded as plain tensors."""
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    for parameter in model.parameters():
        optimiser.state[parameter] = {
            "step": torch.tensor(0.0),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimiser


def _update_average(average: torch.nn.Module, model: torch.nn.Module, recipe: Recipe, step: int) -> None:
    """Exponential running average, with a half-life that grows from 5% of the images seen up to that of the recipe."""
    half_life = min(recipe.ema_half_life, 0.05 * (step + 1) * recipe.batch_size)
    weight = 1 - 0.5 ** (recipe.batch_size / half_life)
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:  # the number of batches that a batch norm has seen
                mean.copy_(value)


def _named_state(
    model: torch.nn.Module, average: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Every tensor that the next step depends on."""
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for name, parameter in model.named_parameters():
        state |= {f"adam.{name}.{key}": tensor for key, tensor in optimiser.state[parameter].items()}
    return state


def _save(run: Path, state: dict[str, Tensor], step: int, average: DenoiserModule, card: dict[str, Any]) -> None:
    from safetensors.torch import save

    tensors = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    runs.write_bytes(run / STATE, save(tensors, metadata={"step": str(step)}))
    if isinstance(average, NETWORKS):
        save_denoiser(average, run / "denoiser", card)


def _load(file: Path, state: dict[str, Tensor]) -> int:
    """Copy a saved state into the live tensors and return the step it continues at; 0 where there is none."""
    from safetensors import SafetensorError, safe_open

    if not file.exists():
        return 0
    try:
        with safe_open(file, framework="pt") as saved, torch.no_grad():
            for name, tensor in state.items():
                tensor.copy_(saved.get_tensor(name))
            return int(saved.metadata()["step"])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}); remove the run directory to begin anew") from error


def _configuration(f: DenoiserModule, data: Data, recipe: Recipe) -> dict[str, Any]:
    """Everything that made a run."""
    return {
        "network": {"class": type(f).__name__} | getattr(f, "configuration", {}),
        "initial_weights": runs.fingerprint_parameters(f),
        "data": runs.describe(data),
        "recipe": runs.describe(recipe),
        "versions": runs.versions(),
    }
