"""Training a denoiser by a `Recipe`: a weighted squared error over images, noise levels and noise.

Everything a step does is a pure function of (seed, step): its images, noise levels and noise. A run that was killed
goes on from its last checkpoint and ends with the same bits. On several GPUs:

    torchrun --nproc-per-node 8 -m -- gahb_theory train --run runs/mine ...

The number of processes is part of a run: each normalises its own part of the batch, which gives other bits than the whole
(by rounding and by the spread of fewer images). All begin from the state of the first one, and need no common disk.

What a caller has set for torch does not matter here: `no_grad`, `inference_mode`, autocast, the default device and type.

A network that is homogeneous in use, f(y) = s f(y / s) for every s > 0, is trained through the right-hand side, s the
standard deviation of each noisy image. In training `BiasFreeNorm` divides by the spread of the whole batch, so that
f(y) itself would depend on how loud the other images of the batch are; on y / s all are equally loud.
"""

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.denoisers.networks.bias_free import BiasFreeNorm
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.identity import content as identity
from gahb_theory.images.base import ImageClass
from gahb_theory.images.intake import check_range
from gahb_theory.images.stream import Data, batches, image_stream, steps_together
from gahb_theory.precision import takes_arrays
from gahb_theory.processes import interrupts_deferred, processes
from gahb_theory.randomness import Component, step_generator
from gahb_theory.training.averages import RunningAverage, tensors
from gahb_theory.training.log import VALIDATION_SEED, TrainingLog
from gahb_theory.training.optimisers import Muon, adam, is_kernel
from gahb_theory.training.recipes import Recipe
from gahb_theory.training.snapshots import snapshot_name, snapshot_steps
from gahb_theory.training.sources import training_data
from gahb_theory.training.state import STATE, extended, has_weights, load_state, open_training, share, state_bytes

__all__ = ["train"]

SECONDS_BETWEEN_CHECKPOINTS = 45.0

Network = TypeVar("Network", bound=DenoiserModule)


@takes_arrays
def train(
    f: Network,
    data: Data | str | Path,
    images_seen: int | None = None,
    *,
    recipe: Recipe | None = None,
    run: str | Path | None = None,
    validation: Tensor | None = None,
    snapshots: Sequence[int] = (),
    **changes: Any,
) -> Network:
    """Train a copy of `f` and return it, averaged over the last steps, in eval mode.

    Parameters
    ----------
    f
        A denoiser module in float32 or float64; it is left as it was. The copy follows its device, and is trained whole:
        a warning says if some parameters of `f` are frozen and others are not. On a CUDA device the forward pass runs in
        bfloat16 autocast.
    data
        An image class (every image is fresh), a fixed set of images (n, c, h, w), or a torch Dataset of images (c, h,
        w), or of tuples that begin with one; intensities in [0, 1], cast to the type of `f`. Or a path: a folder of
        photographs, of which patches of 64 pixels are drawn, or a .npy file of images.
    images_seen
        Budget, the number of images times passes; None takes that of `recipe`. A larger one than that of a finished `run`
        goes on with it: the schedule is that of the larger budget from there on, so that the learning rate rises again.
        The steps before had the shorter schedule; config.json says so, as "extended_from".
    recipe
        How to train; by default `Recipe(images_seen=images_seen)`.
    run
        A directory for the checkpoint (at least every minute), the log (log.jsonl) and the final denoiser, which
        `load_denoiser` reads. The same call goes on where a killed one stopped; a call with another network, other data
        (`gahb_theory.identity.content` says how they are known), another recipe or number of processes is refused. None keeps
        nothing.
    validation
        Images for the PSNR in the log and the progress bar; by default 64 images of the class with another seed, or the
        first 64 of a fixed set.
    snapshots
        Numbers of images seen after which the averaged network is kept in run/snapshots/NUMBER, which `load_denoiser`
        reads; each is rounded up to a whole step. They are networks of this run, in the middle of its schedule.
    **changes
        Any field of `Recipe`.

    Raises
    ------
    FileExistsError
        If `run` holds another run; the message names the entries that differ.
    RuntimeError
        If another process trains into `run`.
    FloatingPointError
        If the loss is not finite; the last checkpoint is good.

    See Also
    --------
    gahb_theory.Recipe, gahb_theory.UNet, gahb_theory.Photographs, gahb_theory.load_denoiser

    Examples
    --------
    >>> from gahb_theory.denoisers.networks.bias_free import UNet
    >>> from gahb_theory.images import Disks
    >>> f = train(UNet(channels=4, blocks=1), Disks(size=16), images_seen=64, batch_size=16)
    >>> f.training
    False
    """
    recipe = _recipe(recipe, images_seen, changes)
    data = training_data(data, f)
    place = None if run is None else validate.path(run, "run").absolute()
    device, dtype = _checked(f)
    due_snapshots = snapshot_steps(snapshots, recipe, place)
    with ExitStack() as stack:
        stack.enter_context(_neutral(device))
        rank, world = stack.enter_context(processes())
        interrupt = stack.enter_context(interrupts_deferred())
        if recipe.batch_size % world:
            raise ValueError(f"batch_size must be a multiple of the {world} processes, got {recipe.batch_size}")
        count = recipe.batch_size // world
        part = slice(rank * count, (rank + 1) * count)
        draw, held_out = image_stream(data, seed=recipe.seed), _validation(data, validation).to(dtype)

        model = copy.deepcopy(f).train().requires_grad_(True)
        if isinstance(model, Conservative):
            model.calibrate(held_out.shape[1:])
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(model).eval().requires_grad_(False)
        check_range(draw(0, 64), strict=False, sigma_max=recipe.sigma_max)
        if validation is not None:
            check_range(held_out, "validation images", strict=False, sigma_max=recipe.sigma_max)
        _try(model, average, draw(part.start, count), held_out, recipe)
        optimisers = _optimisers(model, recipe)
        typical = torch.zeros((), device=device, dtype=dtype)
        state = _named_state(model, average, optimisers) | {"gradient_norm": typical}
        first, folder, configuration = 0, None, {}
        if place is not None and rank == 0:  # nothing is written before all has been tried
            configuration = extended(place, _configuration(f, data, recipe, world, list(due_snapshots.values())))
            folder = stack.enter_context(open_training(place, configuration))
            first = load_state(folder / STATE, state)
        if world > 1:
            first = share(first, state, device)
        wrapped = torch.nn.parallel.DistributedDataParallel(model) if world > 1 else model
        log = TrainingLog(recipe, folder, held_out, first, every=SECONDS_BETWEEN_CHECKPOINTS, silent=rank > 0)
        if folder is not None and first and not has_weights(folder / "denoiser", average):
            _save_denoiser(average, folder, _card(f, data, recipe, log))

        averaged, parameters, frozen = RunningAverage(average, model), list(model.parameters()), False
        steps = range(first, recipe.steps)
        for step, x in zip(steps, _batches(data, draw, steps, part, recipe), strict=True):
            if not frozen and step >= (1 - recipe.frozen_part) * recipe.steps:
                _freeze_normalisation(model)
                frozen = True
            x = x.to(device, dtype, memory_format=torch.channels_last)
            generator = step_generator(device, Component.TRAINING, recipe.seed, step)
            u = torch.rand(recipe.batch_size, generator=generator, device=device, dtype=dtype)[part]
            shape = (recipe.batch_size, *x.shape[1:])
            z = torch.randn(shape, generator=generator, device=device, dtype=dtype)[part]
            sigma = recipe.draw_sigma(u)
            y = x + sigma[:, None, None, None] * z
            scale = _input_scale(f, y, recipe)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                x_hat = scale * wrapped(y / scale, sigma / scale.flatten()).to(dtype)
            loss = (recipe.weight(sigma) * (x_hat - x).square().sum((1, 2, 3))).mean()
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            norm = _limit_gradient(parameters, typical, recipe)
            for optimiser, highest in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate(step, highest)
                optimiser.step()
            _update_average(averaged, recipe, step)

            if folder is not None and step + 1 in due_snapshots:  # before the state, which must not be ahead of it
                _save_denoiser(average, folder, _card(f, data, recipe, log), snapshot_name(due_snapshots[step + 1]))
            last = step + 1 == recipe.steps
            due = log.update(step, loss.detach(), norm, average, now=last or interrupt.received is not None)
            if due and folder is not None:
                _save(folder, state, step + 1, average, _card(f, data, recipe, log), configuration)
            interrupt.raise_if_received()

        log.close()
        if world > 1:
            for buffer in average.buffers():
                dist.broadcast(buffer, 0)
    return average.requires_grad_(True)


def _recipe(recipe: Recipe | None, images_seen: int | None, changes: dict[str, Any]) -> Recipe:
    if recipe is not None and not isinstance(recipe, Recipe):
        raise TypeError(f"recipe must be a Recipe, got {type(recipe).__name__}")
    known = [field.name for field in fields(Recipe)]
    unknown = sorted(changes.keys() - set(known))
    if unknown:
        raise TypeError(f"a Recipe has no {unknown[0]!r}; its fields are {', '.join(known)}")
    if images_seen is not None:
        changes = changes | {"images_seen": images_seen}
    return replace(recipe or Recipe(), **changes)


def _checked(f: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the type of a network that can be trained."""
    if not isinstance(f, torch.nn.Module):
        raise TypeError(f"f must be a torch module to be trained, got {type(f).__name__}")
    parameters = list(f.parameters())
    if not parameters:
        raise ValueError(f"f must have parameters to be trained, got a {type(f).__name__} without any")
    if any(torch.nn.parameter.is_lazy(p) for p in parameters):
        raise TypeError("f must have its parameters in place, some are lazy; call it once on an image first")
    kinds = {(p.device, p.dtype) for p in parameters}
    device, dtype = next(iter(kinds))
    if len(kinds) > 1 or dtype not in (torch.float32, torch.float64) or device.type == "meta":
        optimisers = ", ".join(sorted(f"{d} on {where}" for where, d in kinds))
        raise TypeError(
            f"the parameters of f must all be float32, or all float64, on one device, got {optimisers}; convert it with "
            "f.float() or f.to(device)"
        )
    frozen = sum(not p.requires_grad for p in parameters)
    if 0 < frozen < len(parameters):  # all of them: a network for inference, as load_denoiser returns
        warnings.warn(
            f"{frozen} of the {len(parameters)} parameters of f are frozen (requires_grad=False); train trains a copy with "
            "all of them free",
            stacklevel=3,
        )
    return device, dtype


@contextmanager
def _neutral(device: torch.device) -> Iterator[None]:
    """Gradients on, and no default device or autocast of the caller."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {device.type, "cpu"}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def _batches(
    data: Data, draw: Callable[[int, int], Tensor], steps: range, part: slice, recipe: Recipe
) -> Iterator[Tensor]:
    """The images of each step, of which this process takes a part."""
    count = part.stop - part.start
    if isinstance(data, ImageClass) and count == recipe.batch_size:
        return batches(draw, steps, count, together=steps_together(draw(0, count)))
    return (draw(step * recipe.batch_size + part.start, count) for step in steps)


def _try(model: DenoiserModule, average: DenoiserModule, x: Tensor, held_out: Tensor, recipe: Recipe) -> None:
    """One forward pass, in use and in training, so that what does not fit is refused before anything is written."""
    parameter = next(model.parameters())
    validate.images(x, "data")
    validate.warn_of_units(recipe.sigma_max, x)
    if held_out.shape[1] != x.shape[1]:
        raise ValueError(f"validation must have the {x.shape[1]} channels of data, got shape {tuple(held_out.shape)}")
    y = x.to(parameter.device, parameter.dtype)
    u = (torch.arange(len(y), device=y.device, dtype=y.dtype) + 0.5) / len(y)
    with torch.no_grad(), torch.random.fork_rng([y.device] if y.device.type == "cuda" else []):
        validate.denoised(average, y, recipe.draw_sigma(u))
        validate.denoised(average, held_out[:1].to(y.device), recipe.sigma_max)
        copy.deepcopy(model)(y, recipe.draw_sigma(u))


def _validation(data: Data, given: Tensor | None) -> Tensor:
    if given is not None:
        return validate.images(given, "validation")
    if isinstance(data, ImageClass):
        return validate.sampled(data, 64, seed=VALIDATION_SEED, name="data")
    return image_stream(data, seed=0)(0, min(64, len(data)))  # type: ignore[arg-type]


def _optimisers(model: torch.nn.Module, recipe: Recipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """The optimisers, each with its highest learning rate."""
    kernels = [p for p in model.parameters() if recipe.optimiser == "muon" and is_kernel(p)]
    taken = {id(p) for p in kernels}
    others = [p for p in model.parameters() if id(p) not in taken]
    optimisers: list[tuple[torch.optim.Optimizer, float]] = []
    optimisers += [(adam(others, recipe.learning_rate), recipe.learning_rate)] if others else []
    optimisers += [(Muon(kernels, recipe.kernel_rate), recipe.kernel_rate)] if kernels else []
    return optimisers


def _input_scale(f: torch.nn.Module, y: Tensor, recipe: Recipe) -> Tensor:
    """The s of each image, shape (n, 1, 1, 1)."""
    if recipe.input_scale == "unit" or not getattr(f, "homogeneous", False):
        return y.new_ones(len(y), 1, 1, 1)
    return (y.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-6).sqrt()


def _freeze_normalisation(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, BiasFreeNorm):
            module.eval()


def _limit_gradient(parameters: Sequence[Tensor], typical: Tensor, recipe: Recipe) -> Tensor:
    """Shorten a gradient that is far longer than its running mean `typical`, which is updated; return its length."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    if recipe.gradient_limit is not None:
        longest = torch.where(typical > 0, recipe.gradient_limit * typical, norm)
        clipped = torch.minimum(norm, longest)
        typical.copy_(torch.where(typical > 0, torch.lerp(typical, clipped, 0.02), norm))
        factor = torch.where(norm > longest, longest / norm, torch.ones_like(norm))
        torch._foreach_mul_(gradients, factor)
    return norm


def _update_average(averaged: RunningAverage, recipe: Recipe, step: int) -> None:
    """With a half-life that grows from 5% of the images seen up to that of the recipe."""
    half_life = min(recipe.ema_half_life, 0.05 * (step + 1) * recipe.batch_size)
    averaged.update(1 - 0.5 ** (recipe.batch_size / half_life))


def _named_state(
    model: torch.nn.Module, average: torch.nn.Module, optimisers: list[tuple[torch.optim.Optimizer, float]]
) -> dict[str, Tensor]:
    """Every tensor that the next step depends on."""
    state = {f"model.{name}": tensor for name, tensor in tensors(model).items()}
    state |= {f"average.{name}": tensor for name, tensor in tensors(average).items()}
    for optimiser, _ in optimisers:
        for name, parameter in model.named_parameters():
            clipped = optimiser.state.get(parameter, {})
            state |= {f"optimiser.{name}.{key}": tensor for key, tensor in clipped.items()}
    return state


def _save(
    run: Path,
    state: dict[str, Tensor],
    step: int,
    average: DenoiserModule,
    card: dict[str, Any],
    configuration: dict[str, Any],
) -> None:
    """The denoiser first: the state that says how far it is must never be ahead of it."""
    _save_denoiser(average, run, card)
    runs.write_bytes(run / STATE, state_bytes(state, step, configuration))


def _save_denoiser(average: DenoiserModule, run: Path, card: dict[str, Any], name: str = "denoiser") -> None:
    try:
        save_denoiser(average, run / name, card)
    except TypeError as error:
        from safetensors.torch import save

        saved = {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors(average).items()}
        file = run / name / "weights.safetensors" if name != "denoiser" else run / "weights.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        runs.write_bytes(file, save(saved))
        warnings.warn(
            f"load_denoiser cannot make a {type(average).__name__} again ({error}); its tensors are in "
            f"{file}, for load_state_dict",
            stacklevel=3,
        )


def _card(f: DenoiserModule, data: Data, recipe: Recipe, log: TrainingLog) -> dict[str, Any]:
    """What the model card says."""
    last = json.loads(log.lines[-1]) if log.lines else {}
    network = {"class": type(f).__name__} | getattr(f, "configuration", {})
    card = {"network": network, "data": runs.describe(data), "recipe": runs.describe(recipe)}
    return card | {"versions": runs.versions(), "validation_psnr": last.get("psnr", {}), "log": last}


def _configuration(f: DenoiserModule, data: Data, recipe: Recipe, world: int, snapshots: list[int]) -> dict[str, Any]:
    """Everything that makes a run."""
    configuration = {
        "network": {"class": type(f).__name__} | getattr(f, "configuration", {}),
        "initial_weights": identity.fingerprint(f, "f"),
        "data": identity.identity(data, "data"),
        "recipe": identity.identity(recipe),
        "processes": world,
        "versions": runs.versions(),
    }
    if snapshots:  # a run that goes on must not lack the first of them
        configuration["snapshots"] = snapshots
    return dict(json.loads(json.dumps(runs.to_json(configuration))))
