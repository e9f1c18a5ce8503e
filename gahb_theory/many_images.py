"""One measure on many images, spread over processes or machines, none of them twice.

`map_images(measure, f, images)` calls measure(f, image) on each image. How the calls are executed is the caller's choice:
in this process, in worker processes that this module starts, or by anything with a method `submit`: a Dask client, a
`submitit.AutoExecutor`, joblib's loky executor. What is known is the order of the results, and what an accident costs:

    an image whose measure raises     that image; the others go on, and `ImageResults.failures` names it
    a worker that is killed           the images that it was at; they are computed again, and one that kills twice has failed
    the end of the whole program      nothing that is in `folder`; the same call goes on

With a `folder`, a result is stored under the hash of its inputs: the measure, the denoiser and the image.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.identity.code import is_function
from gahb_theory.identity.content import function_identity, identity
from gahb_theory.identity.hashing import digest, hash_array
from gahb_theory.precision import takes_arrays
from gahb_theory.progress import progress_bar
from gahb_theory.runs import set_aside
from gahb_theory.stored_results import read_arrays, to_arrays, write_arrays
from gahb_theory.sweeps import Executor, Serial, completed, refuse_fork
from gahb_theory.workers import MOST_WORKERS, WorkersNotPossible, check_workers, pool

__all__ = ["ImageResults", "map_images", "map_pieces"]

Result = dict[str, Any]
Measure = Callable[[Any, Tensor], Any]
MOST_SUBMISSIONS = 32
"""Submissions of one call: each carries the denoiser, so that many images share one."""
KEY_LENGTH = 32


@dataclass(frozen=True, eq=False)
class ImageResults(Sequence[Result | None]):
    """What a measure gave on each image, in the order of the images.

    Parameters
    ----------
    results
        For each image the named numbers and arrays of its result, or None where the measure failed.
    failures
        What went wrong, by the number of the image.

    Examples
    --------
    >>> results = ImageResults(({"psnr": 30.0}, {"psnr": 32.0}), {})
    >>> results.stack("psnr")
    array([30., 32.])
    """

    results: tuple[Result | None, ...]
    failures: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def stack(self, name: str) -> np.ndarray:
        """One entry of all results along a first axis, shape (n, ...).

        Raises
        ------
        ValueError
            If the measure failed on an image, or a result has no such entry or another shape.
        """
        if self.failures:
            number, message = next(iter(self.failures.items()))
            raise ValueError(
                f"{len(self.failures)} of {len(self)} images have no result; image {number}: {message}. "
                "Mend it and call map_images again"
            )
        names = sorted({key for result in self.results if result is not None for key in result})
        if any(name not in result for result in self.results if result is not None):
            raise ValueError(f"name must be an entry of all results, got {name!r}; there are {', '.join(names)}")
        return np.stack([np.asarray(result[name]) for result in self.results if result is not None])

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns for a table of one row an image: its number, each entry of the results, and what went wrong."""
        names = list(dict.fromkeys(key for result in self.results if result is not None for key in result))
        columns: dict[str, list[Any]] = {"image": list(range(len(self)))}
        columns |= {name: [None if r is None else r.get(name) for r in self.results] for name in names}
        return columns | {"failure": [self.failures.get(i) for i in range(len(self))]}

    def __repr__(self) -> str:
        names = sorted({key for result in self.results if result is not None for key in result})
        return f"ImageResults of {len(self)} images, {len(self.failures)} failed: {', '.join(names)}"


@takes_arrays
def map_images(
    measure: Measure,
    f: Any,
    images: Float[Tensor, "n c h w"] | np.ndarray | Sequence[Tensor],
    executor: Executor | int | None = None,
    *,
    folder: str | Path | None = None,
) -> ImageResults:
    """What measure(f, image) returns for each image.

    Parameters
    ----------
    measure
        A function of a denoiser and of one image, shape (1, channels, height, width). It returns a number, an array, a
        mapping of names to these, or a result dataclass of this library. Other arguments are bound by
        `functools.partial`. Other processes import it, so that it stands in a module.
    f
        A denoiser, or whatever else `measure` takes first.
    images
        Images of one shape, or a sequence of images (1, c, h, w) of any shapes.
    executor
        None: in this process. A number: that many worker processes, which are started here and replaced if they die.
        Else anything with `submit`, such as a Dask client.
    folder
        Where results are stored as they come, so that nothing is computed twice. Workers must see it.

    Returns
    -------
    The results, in the order of the images. A warning says that some have failed.

    Raises
    ------
    TypeError
        If a result holds something else than numbers, strings and arrays, or, with a `folder`, something of `measure` or
        `f` cannot be hashed.
    ValueError
        If `executor` forks its processes.

    See Also
    --------
    gahb_theory.sweep, gahb_theory.jacobian

    Examples
    --------
    >>> def brightness(f, image):
    ...     return {"mean": float(f(image, 0.1).mean())}
    >>> map_images(brightness, lambda y, sigma: y / 2, torch.ones(3, 1, 4, 4)).stack("mean")
    array([0.5, 0.5, 0.5])
    """
    if not callable(measure):
        raise TypeError(f"measure must be a function of a denoiser and an image, got {type(measure).__name__}")
    given: Any = images
    if not isinstance(given, list | tuple):
        given = torch.split(validate.images(given), 1)
    if not given:
        raise ValueError("images must hold at least one image, got an empty sequence")
    chosen = [validate.one_image(image, f"images[{i}]") for i, image in enumerate(given)]
    return map_pieces(measure, f, chosen, executor, folder=folder, unit="image")


def map_pieces(
    measure: Callable[[Any, Any], Any],
    f: Any,
    pieces: Iterable[Any],
    executor: Executor | int | None = None,
    *,
    folder: str | Path | None = None,
    unit: str = "piece",
) -> ImageResults:
    """What measure(f, piece) returns for each piece of some work, as `map_images` does for images.

    Parameters
    ----------
    measure, f, executor, folder
        As in `map_images`.
    pieces
        Second arguments of `measure`: tensors, numbers, or containers of them.
    unit
        What a piece is called in the progress bar and in failures.

    Examples
    --------
    >>> def power(base, exponent):
    ...     return base**exponent
    >>> map_pieces(power, 2, [1, 2, 3]).stack("value")
    array([2, 4, 8])
    """
    pieces = list(pieces)
    files = _files(measure, f, pieces, folder)
    results = {i: result for i, file in files.items() if (result := _stored(file)) is not None}
    todo = [i for i in range(len(pieces)) if i not in results]
    size = max(1, -(-len(todo) // MOST_SUBMISSIONS))
    chunks = [todo[i : i + size] for i in range(0, len(todo), size)]
    task = _Task(measure, f, pieces, files)
    failures: dict[int, str] = {}
    with progress_bar(total=len(pieces), initial=len(results), desc=f"{unit}s", unit=unit) as bar:
        for outcomes in _outcomes(task, chunks, executor):
            for i, outcome in outcomes.items():
                if isinstance(outcome, str):
                    failures[i] = outcome
                else:
                    results[i] = outcome
            bar.update(len(outcomes))
    if failures:
        first = min(failures)
        warnings.warn(
            f"{len(failures)} of {len(pieces)} {unit}s failed; {unit} {first}: {failures[first]}", stacklevel=3
        )
    return ImageResults(tuple(results.get(i) for i in range(len(pieces))), dict(sorted(failures.items())))


@dataclass(frozen=True)
class _Task:
    """What all chunks share."""

    measure: Callable[[Any, Any], Any]
    f: Any
    pieces: list[Any]
    files: dict[int, Path]

    def arguments(self, chunk: Sequence[int]) -> tuple[Any, ...]:
        return self.measure, self.f, [(i, self.pieces[i], self.files.get(i)) for i in chunk]


Outcomes = dict[int, Result | str]


def _outcomes(task: _Task, chunks: list[list[int]], executor: Executor | int | None) -> Iterator[Outcomes]:
    if executor is None or isinstance(executor, Serial):
        for chunk in chunks:
            for i in chunk:
                yield _compute(*task.arguments([i]))
    elif isinstance(executor, Executor):
        refuse_fork(executor)
        yield from _submitted(task, chunks, executor)
    else:
        yield from _in_workers(task, chunks, validate.integer(executor, "executor", 1, MOST_WORKERS))


def _in_workers(task: _Task, chunks: list[list[int]], workers: int) -> Iterator[Outcomes]:
    """All chunks in worker processes; those that a killed worker was at are computed again, an image at a time."""
    try:
        check_workers(workers, task.measure, task.f)
    except WorkersNotPossible as error:
        raise WorkersNotPossible(str(error).replace("workers=", "executor=")) from error
    waiting = deque(chunks)
    while waiting:
        suspects: list[list[int]] = []
        with pool(workers) as processes:
            running: dict[Future[Outcomes], list[int]] = {}
            while (waiting and not suspects) or running:
                while waiting and len(running) < workers and not suspects:
                    chunk = waiting.popleft()
                    try:
                        running[processes.submit(_compute, *task.arguments(chunk))] = chunk
                    except BrokenExecutor:
                        suspects.append(chunk)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    chunk = running.pop(future)
                    try:
                        yield future.result()
                    except BrokenExecutor:
                        suspects.append(chunk)
        for i in (i for chunk in suspects for i in chunk):
            with pool(1) as process:
                future = process.submit(_compute, *task.arguments([i]))
                wait([future])
                yield _alone(future, i)


def _submitted(task: _Task, chunks: list[list[int]], executor: Executor) -> Iterator[Outcomes]:
    """All chunks by an executor of the caller; a chunk that was lost is submitted again, an image at a time."""
    lost: list[int] = []
    for number, future in completed(executor, _compute, map(task.arguments, chunks)):
        try:
            yield future.result()
        except Exception:
            lost += chunks[number]
    for number, future in completed(executor, _compute, (task.arguments([i]) for i in lost)):
        yield _alone(future, lost[number])


def _alone(future: Any, i: int) -> Outcomes:
    try:
        outcomes: Outcomes = future.result()
    except BrokenExecutor:
        return {i: "its worker process died, killed or out of memory"}
    except Exception as error:
        return {i: f"{type(error).__name__}: {error}"}
    return outcomes


def _compute(measure: Callable[[Any, Any], Any], f: Any, pieces: list[tuple[int, Any, Path | None]]) -> Outcomes:
    """The results of some pieces, each stored as soon as it is there; what one of them raises is its failure alone."""
    outcomes: Outcomes = {}
    for i, piece, file in pieces:
        if file is not None and (result := _stored(file)) is not None:  # by another process, or before a chunk was lost
            outcomes[i] = result
            continue
        try:
            arrays = _named(measure(f, piece))
        except Exception as error:
            outcomes[i] = f"{type(error).__name__}: {error}"
            continue
        if file is not None:
            write_arrays(file, arrays)
        outcomes[i] = _plain(arrays)
    return outcomes


def _named(result: Any) -> dict[str, np.ndarray]:
    """A result as named arrays."""
    if not (is_dataclass(result) or isinstance(result, Mapping)):
        result = {"value": result}
    with torch.no_grad():
        arrays = {name.removeprefix("/"): a for name, a in to_arrays(result, "").items()}
    for name, array in arrays.items():
        if array.dtype == object:
            raise TypeError(f"measure must return numbers, strings and arrays, got an object as {name!r}")
    return arrays


def _plain(arrays: Mapping[str, np.ndarray]) -> Result:
    return {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}


def _files(measure: Any, f: Any, pieces: list[Any], folder: str | Path | None) -> dict[int, Path]:
    """Where the result of each piece is stored; two equal pieces share a file."""
    if folder is None:
        return {}
    folder = validate.path(folder, "folder").resolve()  # workers may stand elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    common = digest({"measure": function_identity(measure, "measure"), "f": _content(f, "f")})
    contents = [_content(piece, f"pieces[{i}]") for i, piece in enumerate(pieces)]
    return {i: folder / f"{digest([common, content])[:KEY_LENGTH]}.npz" for i, content in enumerate(contents)}


def _content(thing: Any, name: str) -> Any:
    if isinstance(thing, Tensor):
        return hash_array(thing, name)
    return function_identity(thing, name) if is_function(thing) else identity(thing, name)


def _stored(file: Path) -> Result | None:
    """The result in a file; a damaged file is set aside and counts as none."""
    if not file.exists():
        return None
    try:
        return _plain(read_arrays(file))
    except ValueError:
        set_aside(file)
        return None
