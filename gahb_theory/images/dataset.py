"""Images on disk: a .npy file that opens memory-mapped, and a .json file that says what it holds.

The file is written in blocks by any number of processes. Which blocks are done is noted in a file beside it, so that the
same command goes on after a kill, and ends with the same bytes: image i is a pure function of (class, seed, i).
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from gahb_theory import runs, validate
from gahb_theory.identity import identity
from gahb_theory.images.base import ImageClass, checked_class, keep
from gahb_theory.images.intake import LARGEST_INTENSITY, check_array, open_array
from gahb_theory.images.unfinished import BLOCK, hashes, locked, set_aside, sha256, writing
from gahb_theory.images.unfinished import Unfinished as _Unfinished
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import LARGEST_INDEX
from gahb_theory.workers import MOST_WORKERS, check_workers, pool

__all__ = ["ImageDataset", "dataset", "write_dataset"]

LONGEST_NAME = 180  # bytes; systems allow 255, and files beside this one have longer names
COMPARED = 32
PixelType = Literal["float32", "uint8"]


@dataclass(frozen=True)
class ImageDataset(Dataset[Tensor]):
    """Images of a file that `dataset` wrote, as a torch Dataset of float32 images (c, h, w), intensities about [0, 1].

    Parameters
    ----------
    path
        The .npy file.
    first, last
        The images first .. last - 1 of the file; None is its end.
    """

    path: Path
    first: int = 0
    last: int | None = None

    def __post_init__(self) -> None:
        keep(self, "path", _npy(self.path).absolute())
        keep(self, "first", validate.integer(self.first, "first", 0))
        if self.last is not None:
            keep(self, "last", validate.integer(self.last, "last", self.first + 1))

    @property
    def array(self) -> np.ndarray:
        """The images as they are stored, memory-mapped, shape (n, c, h, w)."""
        stat = self.path.stat()
        return open_array(self.path.absolute(), stat.st_mtime_ns, stat.st_size)[self.first : self.last]

    @property
    def about(self) -> dict[str, Any]:
        """What the .json file says of the whole file."""
        return runs.read_object(self.path.with_suffix(".json"))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> Float[Tensor, "c h w"]:
        index = validate.integer(index, "index", -LARGEST_INDEX)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in -{len(self)} .. {len(self) - 1}, got {index}")
        return self.images(index % len(self), index % len(self) + 1)[0]

    def images(self, start: int = 0, stop: int | None = None) -> Float[Tensor, "n c h w"]:
        """Images start .. stop - 1 as one float32 tensor."""
        start = validate.integer(start, "start", 0)
        stop = len(self) if stop is None else validate.integer(stop, "stop", 0)
        stored = np.array(self.array[start:stop])
        return torch.from_numpy(stored.astype(np.float32) / 255 if stored.dtype == np.uint8 else stored)

    @property
    def sha256(self) -> str:
        """The hash of the images; for the whole file and for its halves that which the .json file should hold."""
        return sha256(self.array)

    def split(self) -> tuple["ImageDataset", "ImageDataset"]:
        """The first and the last half, disjoint: of an odd number the image in the middle is left out.

        Their hashes stand in the .json file, as "halves".
        """
        half, end = len(self) // 2, self.first + len(self)
        return replace(self, last=self.first + half), replace(self, first=end - half, last=end)


def dataset(
    path: str | Path,
    image_class: ImageClass | None = None,
    n: int | None = None,
    *,
    seed: int = 0,
    start: int = 0,
    dtype: PixelType = "float32",
    workers: int = 1,
) -> ImageDataset:
    """Images of a class on disk: written if they are not there yet, and opened.

    Parameters
    ----------
    path
        A file whose name ends in .npy. Without a class it is only opened.
    image_class, n, seed, start, dtype, workers
        As in `write_dataset`.

    Raises
    ------
    FileExistsError
        If the file holds other images.

    See Also
    --------
    gahb_theory.ImageClass, gahb_theory.train

    Examples
    --------
    >>> import tempfile
    >>> from gahb_theory.images.disks import Disks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, second = dataset(f"{folder}/disks.npy", Disks(size=16), 10, dtype="uint8").split()
    ...     len(first), first[0].shape
    (5, torch.Size([1, 16, 16]))
    """
    path = _npy(path)
    if image_class is None:
        if not path.is_file():
            raise FileNotFoundError(2, f"no dataset at {path}; give an image class and a number of images to write one")
        opened = ImageDataset(path.absolute())
        if not path.with_suffix(".json").is_file():
            check_array(opened.array, path)
        return opened
    if n is None:
        raise ValueError("n, the number of images, must be given with the class")
    n, seed, start, dtype, workers = _checked(image_class, n, seed, start, dtype, workers)
    if not path.exists():
        try:
            write_dataset(path, image_class, n, seed=seed, start=start, dtype=dtype, workers=workers)
        except FileExistsError:
            if not path.exists():
                raise
            # another process was faster
    opened = ImageDataset(path.absolute())
    wanted = _plan(image_class, n, seed, start, dtype, opened.array.shape)
    try:
        about = opened.about
    except ValueError as error:
        about = _recorded_anew(opened, image_class, wanted, error)
    differing = [key for key in wanted if key != "versions" and about.get(key) != wanted[key]]
    if differing:
        detail = ", ".join(f"{key}: {about.get(key)!r} there, {wanted[key]!r} now" for key in differing)
        raise FileExistsError(17, f"{path} holds other images ({detail}); choose another name")
    return opened


def write_dataset(
    path: str | Path,
    image_class: ImageClass,
    n: int,
    *,
    seed: int = 0,
    start: int = 0,
    dtype: PixelType = "float32",
    workers: int = 1,
) -> Path:
    """Write images start .. start + n - 1 of a class to `path`, an array of shape (n, c, h, w), block by block.

    Killed at any moment, or ended by an error, the same call goes on where it was and writes the same bytes. Of two calls
    at the same time the second waits for the first.

    Parameters
    ----------
    path
        A file whose name ends in .npy; it must not exist. The .json file beside it holds the class and its
        parameters, the seed, the sha256 of the images and of each half, and the versions.
    image_class
        Any object with `sample`.
    n, seed, start
        Which images.
    dtype
        "float32", or "uint8": intensities cut off at 0 and 1 and rounded to 255 steps.
    workers
        Number of processes. More than one need a class that a new process can import, and a start of some seconds; a
        script calls this under `if __name__ == "__main__":`.

    Raises
    ------
    FileExistsError
        If the file exists: data is never overwritten. If an unfinished file is one of other images.
    OSError
        If the disk has too little space, or a file cannot be written.
    TypeError, ValueError
        If the class returns other than `n` finite images of one shape and type; `WorkersNotPossible`, a TypeError, where
        more than one process cannot work.
    RuntimeError
        If a worker process died.
    """
    path = _npy(path)
    n, seed, start, dtype, workers = _checked(image_class, n, seed, start, dtype, workers)
    check_workers(workers, image_class)
    first = validate.sampled(image_class, 1, seed=seed, start=start)
    plan = _plan(image_class, n, seed, start, dtype, (n, *first.shape[1:]))
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot create {path.parent}: {error.strerror}; choose another place") from error
    try:
        with locked(path):
            _write(path, image_class, plan, first.dtype, workers)
    finally:
        for folder in made:  # if nothing lies in them
            with suppress(OSError):
                folder.rmdir()
    return path


def _write(path: Path, image_class: ImageClass, plan: dict[str, Any], source: torch.dtype, workers: int) -> None:
    """Write the files that are missing; called by the only writer."""
    unfinished = _Unfinished(path, plan)
    for file in (path, unfinished.about):
        if file.exists() and not (file == unfinished.about and unfinished.record.exists()):  # killed between the two
            raise FileExistsError(17, f"{file} exists and is not overwritten; remove it or choose another name")
    missing = unfinished.open()
    jobs = [_Job(unfinished.data, image_class, unfinished.plan, source, block, unfinished.offset) for block in missing]
    try:
        bar = progress_bar(_run(jobs, workers), desc="generating", unit=" blocks", total=len(jobs), leave=True)
        for block in bar:
            unfinished.note(block)
        unfinished.finish()
    except Exception as error:
        if isinstance(error, BrokenProcessPool):
            raise RuntimeError(
                f"a worker process died; the same call goes on from here, {path} is unfinished. If it dies again, for "
                "instance for lack of memory, use fewer workers"
            ) from error
        if unfinished.done:
            error.add_note(
                f"{len(unfinished.done)} of {unfinished.blocks} blocks of {path} are kept; the same call goes on from here"
            )
        else:
            unfinished.discard()
        raise


@dataclass(frozen=True)
class _Job:
    """One block of one file."""

    data: Path
    image_class: ImageClass
    plan: dict[str, Any]
    source: torch.dtype
    block: int
    offset: int


def _write_block(job: _Job) -> int:
    """Draw a block and write it in its place, down to the disk."""
    first = job.block * BLOCK
    count = min(BLOCK, job.plan["n"] - first)
    content = _drawn(job.image_class, job.plan, job.source, first, count).tobytes()
    with writing(job.data), job.data.open("r+b") as file:
        file.seek(job.offset + first * (len(content) // count))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return job.block


def _drawn(image_class: ImageClass, plan: dict[str, Any], source: torch.dtype, first: int, count: int) -> np.ndarray:
    """Images first .. first + count - 1 of a plan, as they are stored."""
    x = validate.sampled(image_class, count, seed=plan["seed"], start=plan["start"] + first).detach().cpu()
    name = type(image_class).__name__
    if list(x.shape[1:]) != plan["shape"][1:] or x.dtype != source:
        raise ValueError(
            f"{name}.sample must always return images of one shape and type, got {tuple(x.shape[1:])} of {x.dtype} from "
            f"image {plan['start'] + first} on, and {tuple(plan['shape'][1:])} of {source} at first"
        )
    if plan["dtype"] == "uint8":
        if float(x.max()) > LARGEST_INTENSITY:
            raise ValueError(
                f"intensities of {name} must lie about [0, 1] to be stored as uint8, got {float(x.max()):.4g}; divide them"
            )
        stored = x.float().mul(255).round_().clamp_(0, 255).byte()
    else:
        stored = validate.finite(x.float(), f"images of {name}, rounded to float32,")
    return np.ascontiguousarray(stored.numpy())


def _run(jobs: list[_Job], workers: int) -> Iterator[int]:
    """The blocks, as they are done."""
    if workers == 1 or len(jobs) < 2:
        yield from map(_write_block, jobs)
        return
    with pool(min(workers, len(jobs))) as processes:
        for future in as_completed([processes.submit(_write_block, job) for job in jobs]):
            yield future.result()


def _recorded_anew(
    opened: ImageDataset, image_class: ImageClass, plan: dict[str, Any], error: ValueError
) -> dict[str, Any]:
    """The record of a file, written again where the old one is damaged, if the images are those of the plan."""
    about = opened.path.with_suffix(".json")
    source = validate.sampled(image_class, 1, seed=plan["seed"], start=plan["start"]).dtype
    n = min(len(opened), plan["n"])
    for first in (0, max(0, n // 2 - COMPARED), max(0, n - COMPARED)):
        count = min(COMPARED, n - first)
        drawn = _drawn(image_class, plan, source, first, count)
        if len(opened) != plan["n"] or not np.array_equal(drawn, opened.array[first : first + count]):
            raise FileExistsError(
                17, f"{error}, and {opened.path} holds other images than those asked for; choose another name"
            )
    with suppress(OSError), locked(opened.path):  # on a disk that cannot be written it stays as it is
        if about.exists():
            set_aside(about, error, "the images are those asked for: the record is written anew")
        runs.write_json(about, plan | hashes(opened.array))
    return plan


def _npy(path: str | Path) -> Path:
    """The path of an array, with a name that leaves room for those of the files beside it."""
    path = validate.path(path, "path")
    if path.suffix != ".npy":
        raise ValueError(f"path must name a .npy file, got {path}; np.save writes one")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ValueError(f"the name of {path} must have at most {LONGEST_NAME} bytes; choose a shorter one")
    return path


def _checked(image_class: Any, n: Any, seed: Any, start: Any, dtype: Any, workers: Any) -> Any:
    """The arguments after the class, converted."""
    checked_class(image_class)
    return (
        validate.integer(n, "n", 1),
        validate.seed(seed),
        validate.integer(start, "start", 0, LARGEST_INDEX - 1),
        validate.one_of(dtype, "dtype", ("float32", "uint8")),
        validate.integer(workers, "workers", 1, MOST_WORKERS),
    )


def _plan(image_class: ImageClass, n: int, seed: int, start: int, dtype: str, shape: Any) -> dict[str, Any]:
    """What a file holds; two equal plans are the same images."""
    plan = {
        "class": identity(image_class, "image_class"),
        "n": n,
        "seed": seed,
        "start": start,
        "shape": list(shape),
        "dtype": dtype,
        "versions": runs.versions(),
    }
    return json.loads(json.dumps(plan))
