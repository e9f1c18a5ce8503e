"""Images on disk: a .npy file that opens memory-mapped, and a .json file that says what it holds."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gahb_theory import runs, validate
from gahb_theory.images.base import ImageClass

__all__ = ["write_dataset"]

BLOCK = 512


def write_dataset(path: str | Path, image_class: ImageClass, n: int, *, seed: int = 0, start: int = 0) -> Path:
    """Write images start .. start + n - 1 of a class to `path` as float32 of shape (n, c, h, w), block by block.

    Parameters
    ----------
    path
        A file whose name ends in .npy. The .json file beside it, of the same name, holds the class and its
        parameters, the seed, the sha256 of the images, and the versions.
    image_class
        Any object with `sample`.
    n, seed, start
        Which images.

    Raises
    ------
    FileExistsError
        If one of the two files exists: data is never overwritten.
    OSError
        If the disk has too little space.
    """
    path = Path(path)
    validate.integer(n, "n", 1)
    if path.suffix != ".npy":
        raise ValueError(f"the output must be a .npy file, got {path}")
    for file in (path, path.with_suffix(".json")):
        if file.exists():
            raise FileExistsError(17, f"{file} exists and is not overwritten; remove it or choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot create {path.parent}: {error.strerror}; choose another place") from error
    shape = (n, *image_class.sample(1, seed=seed, start=start).shape[1:])
    needed, free = 4 * int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(28, f"{n} images of shape {shape[1:]} need {needed:,} bytes, and {path.parent} has {free:,} left")
    partial = path.with_name(f".{path.name}.partial")
    try:
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        digest = hashlib.sha256()
        for first in tqdm(range(0, n, BLOCK), desc="generating", unit=" blocks", delay=2, disable=None):
            count = min(BLOCK, n - first)
            out[first : first + count] = image_class.sample(count, seed=seed, start=start + first).numpy()
            digest.update(out[first : first + count].tobytes())
        out.flush()
        about = {"class": runs.describe(image_class), "n": n, "seed": seed, "start": start, "shape": shape}
        runs.write_json(path.with_suffix(".json"), about | {"sha256": digest.hexdigest(), "versions": runs.versions()})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
