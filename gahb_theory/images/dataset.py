"""Images on disk: a .npy file that opens memory-mapped, and a .json file that says what it holds.

The file is written in blocks by any number of processes. Which blocks are done is noted in a file beside it, so that the
same command goes on after a kill, and ends with the same bytes: image i is a pure function of (class, seed, i).
"""

import hashlib
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from gahb_theory import runs, validate
from gahb_theory.images.base import ImageClass

__all__ = ["ImageDataset", "dataset", "write_dataset"]

BLOCK = 512
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

    @property
    def array(self) -> np.ndarray:
        """The images as they are stored, memory-mapped, shape (n, c, h, w)."""
        return _opened(self.path, self.path.stat().st_mtime_ns)[self.first : self.last]

    @property
    def about(self) -> dict[str, Any]:
        """What the .json file says of the whole file."""
        return json.loads(self.path.with_suffix(".json").read_text())

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> Float[Tensor, "c h w"]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in -{len(self)} .. {len(self) - 1}, got {index}")
        return self.images(index % len(self), index % len(self) + 1)[0]

    def images(self, start: int = 0, stop: int | None = None) -> Float[Tensor, "n c h w"]:
        """Images start .. stop - 1 as one float32 tensor."""
        stored = np.array(self.array[start:stop])
        return torch.from_numpy(stored.astype(np.float32) / 255 if stored.dtype == np.uint8 else stored)

    @property
    def sha256(self) -> str:
        """The hash of the images; for the whole file and for its halves that which the .json file should hold."""
        return _sha256(self.array)

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

    Examples
    --------
    >>> import tempfile
    >>> from gahb_theory.images.disks import Disks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, second = dataset(f"{folder}/disks.npy", Disks(size=16), 10, dtype="uint8").split()
    ...     len(first), first[0].shape
    (5, torch.Size([1, 16, 16]))
    """
    path = Path(path)
    if image_class is not None:
        if n is None:
            raise ValueError("n, the number of images, must be given with the class")
        if not path.exists():
            write_dataset(path, image_class, n, seed=seed, start=start, dtype=dtype, workers=workers)
        about = ImageDataset(path).about
        wanted = json.loads(json.dumps(_plan(image_class, n, seed, start, dtype, about["shape"])))
        differing = [key for key in wanted if key != "versions" and about.get(key) != wanted[key]]
        if differing:
            detail = ", ".join(f"{key}: {about.get(key)!r} there, {wanted[key]!r} now" for key in differing)
            raise FileExistsError(17, f"{path} holds other images ({detail}); choose another name")
    elif not path.is_file():
        raise FileNotFoundError(2, f"no dataset at {path}; give an image class and a number of images to write one")
    return ImageDataset(path)


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

    Killed at any moment, the same call goes on where it was and writes the same bytes.

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
        Number of processes. More than one need a class that a new process can import, and a start of some seconds.

    Raises
    ------
    FileExistsError
        If the file exists: data is never overwritten. If an unfinished file is one of other images.
    OSError
        If the disk has too little space.
    RuntimeError
        If a worker process died.
    """
    path = Path(path)
    validate.integer(n, "n", 1)
    validate.integer(workers, "workers", 1, 1024)
    if dtype not in ("float32", "uint8"):
        raise ValueError(f'dtype must be "float32" or "uint8", got {dtype!r}')
    if path.suffix != ".npy":
        raise ValueError(f"the output must be a .npy file, got {path}")
    about, record = path.with_suffix(".json"), _beside(path, "partial.json")
    for file in (path, about):
        if file.exists() and not (file == about and record.exists()):  # killed between the two, it goes on
            raise FileExistsError(17, f"{file} exists and is not overwritten; remove it or choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot create {path.parent}: {error.strerror}; choose another place") from error
    shape = (n, *image_class.sample(1, seed=seed, start=start).shape[1:])
    unfinished = _Unfinished(path, _plan(image_class, n, seed, start, dtype, shape))
    try:
        missing = unfinished.open()
        jobs = [
            _Job(unfinished.data, image_class, seed, start, n, block, unfinished.offset, dtype) for block in missing
        ]
        for block in tqdm(
            _run(jobs, workers), desc="generating", unit=" blocks", total=len(jobs), delay=2, disable=None
        ):
            unfinished.note(block)
        unfinished.finish()
    except Exception as error:
        if not isinstance(error, BrokenProcessPool):
            unfinished.discard()
            raise
        raise RuntimeError(f"a worker process died; the same call goes on from here, {path} is unfinished") from error
    return path


@dataclass(frozen=True)
class _Job:
    """One block of one file."""

    data: Path
    image_class: ImageClass
    seed: int
    start: int
    n: int
    block: int
    offset: int
    dtype: PixelType


def _write_block(job: _Job) -> int:
    """Draw a block and write it in its place, down to the disk."""
    first = job.block * BLOCK
    count = min(BLOCK, job.n - first)
    images = job.image_class.sample(count, seed=job.seed, start=job.start + first)
    stored = images.mul(255).round_().clamp_(0, 255).byte() if job.dtype == "uint8" else images.float()
    content = np.ascontiguousarray(stored.numpy()).tobytes()
    with job.data.open("r+b") as file:
        file.seek(job.offset + first * (len(content) // count))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return job.block


def _run(jobs: list[_Job], workers: int) -> Iterator[int]:
    if workers == 1 or len(jobs) < 2:
        yield from map(_write_block, jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
    with ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        try:
            yield from pool.map(_write_block, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Unfinished:
    """A file that is being written: its data, and a record of what it will be and which blocks are done."""

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        self.path, self.plan = path, json.loads(json.dumps(plan))
        self.data, self.record = (_beside(path, end) for end in ("partial", "partial.json"))
        self.blocks = -(-self.plan["n"] // BLOCK)
        header = io.BytesIO()
        layout = {"descr": np.dtype(plan["dtype"]).str, "fortran_order": False, "shape": tuple(plan["shape"])}
        np.lib.format.write_array_header_1_0(header, layout)
        self.header = header.getvalue()
        self.offset = len(self.header)
        self.done: list[int] = []

    def open(self) -> list[int]:
        """Begin, or take up what a call before left; the blocks that are missing."""
        needed = int(np.prod(self.plan["shape"])) * np.dtype(self.plan["dtype"]).itemsize
        if self.data.exists() and self.record.exists():
            found = json.loads(self.record.read_text())
            if found["plan"] != self.plan:
                keys = ", ".join(key for key in self.plan if found["plan"].get(key) != self.plan[key])
                raise FileExistsError(
                    17, f"{self.data} is an unfinished file of other images ({keys} differ); remove it to begin anew"
                )
            self.done = found["done"]
            return sorted(set(range(self.blocks)) - set(self.done))
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            shape = tuple(self.plan["shape"])
            raise OSError(
                28,
                f"{shape[0]} images of shape {shape[1:]} need {needed:,} bytes, and {self.path.parent} has {free:,} left",
            )
        with self.data.open("wb") as file:
            file.write(self.header)
            file.truncate(self.offset + needed)
        runs.write_json(self.record, {"plan": self.plan, "done": []})
        return list(range(self.blocks))

    def note(self, block: int) -> None:
        self.done.append(block)
        runs.write_json(self.record, {"plan": self.plan, "done": self.done})

    def finish(self) -> None:
        """Hash the images, write the .json file, and give the data its name."""
        images = np.load(self.data, mmap_mode="r")
        half = len(images) // 2
        halves = [_sha256(images[:half]), _sha256(images[len(images) - half :])]
        about = self.plan | {"sha256": _sha256(images), "halves": halves}
        runs.write_json(self.path.with_suffix(".json"), about)
        self.data.replace(self.path)
        self.record.unlink()

    def discard(self) -> None:
        """Leave nothing of these images behind; an unfinished file of others is kept."""
        if not self.record.exists() or json.loads(self.record.read_text())["plan"] == self.plan:
            self.data.unlink(missing_ok=True)
            self.record.unlink(missing_ok=True)


@lru_cache(maxsize=8)
def _opened(path: Path, modified: int) -> np.ndarray:
    """The array of a file as it was at a time."""
    return np.load(path, mmap_mode="r")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def _plan(image_class: ImageClass, n: int, seed: int, start: int, dtype: str, shape: Any) -> dict[str, Any]:
    return {
        "class": runs.describe(image_class),
        "n": n,
        "seed": seed,
        "start": start,
        "shape": list(shape),
        "dtype": dtype,
        "versions": runs.versions(),
    }


def _sha256(images: np.ndarray) -> str:
    digest = hashlib.sha256()
    for first in range(0, len(images), BLOCK):
        digest.update(np.ascontiguousarray(images[first : first + BLOCK]).tobytes())
    return digest.hexdigest()
