"""Training a denoiser by a `Recipe`: a weighted squared error over images, noise levels and noise.

Everything a step does is a pure function of (seed, step): its images, noise levels and noise. A run that was killed
goes on from its last checkpoint and ends with the same bits. On several GPUs:

    torchrun --nproc-per-node 8 -m gahb_theory train --run runs/mine ...

A network that is homogeneous in use, f(y) = s f(y / s) for every s > 0, is trained through the right-hand side, s the
standard deviation of each noisy image. In training `BiasFreeNorm` divides by the spread of the whole batch, so that
f(y) itself would depend on how loud the other images of the batch are; on y / s all are equally loud.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.checkpoints import NETWORKS, save_denoiser
from gahb_theory.denoisers.networks import BiasFreeNorm
from gahb_theory.images.base import ImageClass
from gahb_theory.images.intake import check_range
from gahb_theory.images.stream import Data, image_stream
from gahb_theory.optimisers import Muon, adam, is_kernel
from gahb_theory.processes import interrupts_deferred, processes
from gahb_theory.randomness import Component, step_generator
from gahb_theory.recipes import Recipe
from gahb_theory.training_log import VALIDATION_SEED, TrainingLog

__all__ = ["train"]

STATE = "state.safetensors"
SECONDS_BETWEEN_CHECKPOINTS = 45.0

Network = TypeVar("Network", bound=DenoiserModule)


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
        law = isinstance(data, ImageClass)
        check_range(draw(0, 64), law=law, sigma_max=recipe.sigma_max)
        check_range(held_out, "validation images", law=law and validation is None, sigma_max=recipe.sigma_max)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        optimisers = _optimisers(model, recipe)
        typical = torch.zeros((), device=device)
        state = _named_state(model, average, optimisers) | {"gradient_norm": typical}
        first = 0
        keeper = run is not None and rank == 0
        if run is not None:
            run = runs.open_run(run, _configuration(f, data, recipe)) if rank == 0 else Path(run)
            first = _load(run / STATE, state)
        wrapped = torch.nn.parallel.DistributedDataParallel(model) if world > 1 else model
        every = SECONDS_BETWEEN_CHECKPOINTS
        log = TrainingLog(recipe, run if keeper else None, held_out, first, every=every, silent=rank > 0)

        for step in range(first, recipe.steps):
            if step >= (1 - recipe.frozen_part) * recipe.steps:
                _freeze_normalisation(model)
            x = draw(step * recipe.batch_size + mine.start, mine.stop - mine.start)
            x = x.to(device, memory_format=torch.channels_last)
            generator = step_generator(device, Component.TRAINING, recipe.seed, step)
            u = torch.rand(recipe.batch_size, generator=generator, device=device)[mine]
            z = torch.randn((recipe.batch_size, *x.shape[1:]), generator=generator, device=device)[mine]
            sigma = recipe.draw_sigma(u)
            y = x + sigma[:, None, None, None] * z
            scale = _input_scale(f, y, recipe)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                x_hat = scale * wrapped(y / scale, sigma / scale.flatten()).float()
            loss = (recipe.weight(sigma) * (x_hat - x).square().sum((1, 2, 3))).mean()
            model.zero_grad(set_to_none=True)
            loss.backward()
            norm = _limit_gradient(model, typical, recipe)
            for optimiser, highest in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate(step, highest)
                optimiser.step()
            _update_average(average, model, recipe, step)

            last = step + 1 == recipe.steps
            if log.update(step, loss.detach(), norm, average, now=last or interrupt.received is not None) and keeper:
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


def _optimisers(model: torch.nn.Module, recipe: Recipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """The optimisers, each with its highest learning rate."""
    kernels = [p for p in model.parameters() if recipe.optimiser == "muon" and is_kernel(p)]
    taken = {id(p) for p in kernels}
    others = [p for p in model.parameters() if id(p) not in taken]
    found: list[tuple[torch.optim.Optimizer, float]] = []
    found += [(adam(others, recipe.learning_rate), recipe.learning_rate)] if others else []
    found += [(Muon(kernels, recipe.kernel_rate), recipe.kernel_rate)] if kernels else []
    return found


def _input_scale(f: torch.nn.Module, y: Tensor, recipe: Recipe) -> Tensor:
    """The s of each image, shape (n, 1, 1, 1)."""
    if recipe.input_scale == "unit" or not getattr(f, "homogeneous", False):
        return y.new_ones(len(y), 1, 1, 1)
    return (y.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-6).sqrt()


def _freeze_normalisation(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, BiasFreeNorm):
            module.eval()


def _limit_gradient(model: torch.nn.Module, typical: Tensor, recipe: Recipe) -> Tensor:
    """Shorten a gradient that is far longer than its running mean `typical`, which is updated; return its length."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.stack([g.norm() for g in gradients]).norm()
    if recipe.gradient_limit is not None:
        longest = torch.where(typical > 0, recipe.gradient_limit * typical, norm)
        kept = torch.minimum(norm, longest)
        typical.copy_(torch.where(typical > 0, torch.lerp(typical, kept, 0.02), norm))
        factor = torch.where(norm > longest, longest / norm, torch.ones_like(norm))
        for g in gradients:
            g.mul_(factor)
    return norm


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
    model: torch.nn.Module, average: torch.nn.Module, optimisers: list[tuple[torch.optim.Optimizer, float]]
) -> dict[str, Tensor]:
    """Every tensor that the next step depends on."""
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for optimiser, _ in optimisers:
        for name, parameter in model.named_parameters():
            kept = optimiser.state.get(parameter, {})
            state |= {f"optimiser.{name}.{key}": tensor for key, tensor in kept.items()}
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
