"""What a training keeps in its run directory and finds there again, and what its processes tell each other.

    config.json          what makes the run: network, data, recipe, number of processes
    state.safetensors    every tensor that the next step depends on, the number of steps, the hash of config.json
    denoiser/            the averaged network, written before the state that counts its steps
    log.jsonl            progress; read by people, and not needed to go on

A damaged file is set aside as NAME.damaged. Without log.jsonl or config.json the training goes on; a damaged state is
named, and the next call begins anew.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gahb_theory import runs
from gahb_theory.identity.hashing import differences, digest

__all__ = ["STATE", "extended", "has_weights", "load_state", "open_training", "share", "state_bytes"]

STATE, CONFIG, LOCK = "state.safetensors", "config.json", ".lock"


def extended(run: Path, configuration: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a call that goes on with a finished run to a larger budget; any other one as it is.

    "extended_from" holds the budgets at which the run had ended before, each with a schedule of its own.

    Raises
    ------
    FileExistsError
        If the run differs by its budget alone, and is not finished or has seen more images.
    """
    try:
        stored = runs.read_object(run / CONFIG)
        budget, step = stored["recipe"]["images_seen"], int(_metadata(run / STATE).get("step", 0))
    except (ValueError, KeyError, TypeError):  # no run, or one that is named when it is opened
        return configuration
    before = {"extended_from": stored["extended_from"]} if "extended_from" in stored else {}
    asked, same = configuration["recipe"]["images_seen"], {"recipe": configuration["recipe"] | {"images_seen": budget}}
    if differences(stored | {"versions": None}, configuration | same | before | {"versions": None}):
        return configuration | before
    seen = step * configuration["recipe"]["batch_size"]
    if asked == budget:
        return configuration | before
    if asked < budget:
        raise FileExistsError(
            17, f"{run} is trained on {budget} images, and fewer were asked for: {asked}; choose another directory"
        )
    if seen < budget:
        raise FileExistsError(
            17,
            f"{run} has seen {seen} of {budget} images; finish it with images_seen={budget}, then {asked} goes on from there",
        )
    return configuration | {"extended_from": [*before.get("extended_from", []), budget]}


@contextmanager
def open_training(run: Path, configuration: Mapping[str, Any]) -> Iterator[Path]:
    """The run directory, held against a second training until the end.

    Raises
    ------
    FileExistsError
        If it holds a run of another configuration; the message names the entries that differ.
    RuntimeError
        If another process trains into it.
    """
    made = not run.exists()
    runs.make_directory(run)
    try:
        with runs.locked(run / LOCK, wait=False):
            runs.remove_stale(run)
            runs.remove_stale(run / "denoiser")
            _check_configuration(run, configuration)
            _make_way(run, configuration)
            yield runs.open_run(run, configuration)
    except BlockingIOError:
        raise RuntimeError(
            f"another process trains into {run}; wait for its end, stop it, or choose another directory"
        ) from None
    finally:
        if made and not any(run.iterdir()):
            run.rmdir()


def _check_configuration(run: Path, configuration: Mapping[str, Any]) -> None:
    """Set a damaged configuration aside, and refuse one whose makers did not note what the data were."""
    file = run / CONFIG
    if file.exists():
        try:
            stored = runs.read_object(file)
        except ValueError:
            renamed = runs.set_aside(file)
            warnings.warn(f"{file} was damaged; it is now {renamed.name}, and written anew", stacklevel=4)
        else:
            if "recipe" in stored and "processes" not in stored:
                raise FileExistsError(
                    17,
                    f"{run} holds a run that an earlier version of this library began, without a record of what its data "
                    "were; finish it with that version (load_denoiser reads its denoiser), or choose another directory",
                )
    if not file.exists() and (run / STATE).exists():
        try:
            noted = _metadata(run / STATE).get("configuration")
        except ValueError:  # named when it is loaded
            return
        if noted != _hash(configuration):
            raise FileExistsError(
                17, f"{run} holds the checkpoint of another run, without {CONFIG}; choose another directory"
            )


def _make_way(run: Path, configuration: Mapping[str, Any]) -> None:
    """Let go of a configuration from which nothing has been computed yet, and of that of a run that is extended."""
    file = run / CONFIG
    if not file.exists():
        return
    unused = not (run / STATE).exists() and not (run / "denoiser").exists()
    if unused or len(configuration.get("extended_from", ())) > len(runs.read_object(file).get("extended_from", ())):
        runs.write_json(file, configuration)


def _hash(configuration: Mapping[str, Any]) -> str:
    """Of all but the versions, which may change from call to call."""
    return digest({key: value for key, value in configuration.items() if key != "versions"})


def _metadata(file: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as saved:
            return dict(saved.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(str(error)) from error


def state_bytes(state: Mapping[str, Tensor], step: int, configuration: Mapping[str, Any]) -> bytes:
    """The file that `load_state` reads."""
    from safetensors.torch import save

    tensors = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }  # copies: tied parameters share their memory
    return save(tensors, metadata={"step": str(step), "configuration": _hash(configuration)})


def load_state(file: Path, state: Mapping[str, Tensor]) -> int:
    """Copy a saved state into the live tensors and return the step it continues at; 0 where there is none."""
    from safetensors import SafetensorError, safe_open

    if not file.exists():
        return 0
    try:
        with safe_open(file, framework="pt") as saved:
            tensors = {name: saved.get_tensor(name) for name in state}
            step = int(saved.metadata()["step"])
        wrong = [n for n in state if (tensors[n].shape, tensors[n].dtype) != (state[n].shape, state[n].dtype)]
        if wrong:
            raise ValueError(f"{wrong[0]} has another shape or type")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        renamed = runs.set_aside(file)
        raise ValueError(
            f"{file} is damaged ({error}); it is now {renamed.name}, and the same call begins anew. Give it its name again if "
            "a whole copy of it can be found"
        ) from error
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(tensors[name])
    return step


def share(step: int, state: Mapping[str, Tensor], device: torch.device) -> int:
    """The step of the first process, and in `state` its tensors, in every process, which need no common disk."""
    noted = torch.tensor([step], dtype=torch.int64, device=device)
    dist.broadcast(noted, 0)
    with torch.no_grad():
        for tensor in state.values():
            sent = tensor.detach().to(device).clone(memory_format=torch.contiguous_format)
            dist.broadcast(sent, 0)
            tensor.copy_(sent)
    return int(noted)


def has_weights(folder: Path, f: torch.nn.Module) -> bool:
    """Whether a folder holds the tensors of a network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError):
        return False
    wanted = f.state_dict()
    return stored.keys() == wanted.keys() and all(torch.equal(stored[name], wanted[name].cpu()) for name in wanted)
