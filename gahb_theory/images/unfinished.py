"""A dataset that is being written: its data, and a record of what it will be and which blocks are done.

The record holds the sha256 of each block. A block is taken up again only if the data still has this hash, so that a file
which lost its end, or was never written down by the disk, becomes no images of zeros.
"""

import errno
import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import runs

__all__ = ["BLOCK", "Unfinished", "beside", "hashes", "locked", "set_aside", "sha256", "writing"]

BLOCK = 512


class Unfinished:
    """The files of a dataset until it has its name; made and used by the process that holds its lock."""

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        self.path, self.plan = path, json.loads(json.dumps(plan))
        self.data, self.record = (beside(path, end) for end in ("partial", "partial.json"))
        self.about = path.with_suffix(".json")
        self.blocks = -(-self.plan["n"] // BLOCK)
        header = io.BytesIO()
        layout = {"descr": np.dtype(plan["dtype"]).str, "fortran_order": False, "shape": tuple(plan["shape"])}
        np.lib.format.write_array_header_1_0(header, layout)
        self.header = header.getvalue()
        self.offset = len(self.header)
        self.image_bytes = int(np.prod(self.plan["shape"][1:])) * np.dtype(self.plan["dtype"]).itemsize
        self.done: dict[str, str] = {}

    def open(self) -> list[int]:
        """Begin, or take up what a call before left; the blocks that are missing."""
        needed = self.plan["n"] * self.image_bytes
        if self.data.exists() and self.record.exists() and (record := self._recorded()):
            if record["plan"] != self.plan:
                keys = ", ".join(key for key in self.plan if record["plan"].get(key) != self.plan[key])
                raise FileExistsError(
                    errno.EEXIST,
                    f"{self.data} is an unfinished file of other images ({keys} differ); remove it and {self.record.name} "
                    "to begin anew, or choose another name",
                )
            with writing(self.data), self.data.open("r+b") as file:
                file.write(self.header)
                file.truncate(self.offset + needed)
            self.done = {block: digest for block, digest in record["done"].items() if self._hash(int(block)) == digest}
            return [block for block in range(self.blocks) if str(block) not in self.done]
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            shape = tuple(self.plan["shape"])
            raise OSError(
                errno.ENOSPC,
                f"n = {shape[0]} images of shape {shape[1:]} need {needed:,} bytes, and {self.path.parent} has {free:,} left",
            )
        try:
            with writing(self.data), self.data.open("wb") as file:
                file.write(self.header)
                file.truncate(self.offset + needed)
            runs.write_json(self.record, {"plan": self.plan, "done": {}})
        except OSError:
            self.discard()
            raise
        return list(range(self.blocks))

    def note(self, block: int) -> None:
        """Note that a block has been written."""
        self.done[str(block)] = self._hash(block)
        runs.write_json(self.record, {"plan": self.plan, "done": self.done})

    def finish(self) -> None:
        """Hash the images, write the .json file, and give the data its name."""
        images = np.load(self.data, mmap_mode="r")
        runs.write_json(self.about, self.plan | hashes(images))
        self.data.replace(self.path)
        self.record.unlink()
        self._collect()

    def discard(self) -> None:
        """Leave nothing behind; only where no block is done."""
        for file in (self.data, self.record):
            with suppress(OSError):
                file.unlink(missing_ok=True)
        self._collect()

    def _hash(self, block: int) -> str:
        """The sha256 of a block of the data, as it lies on the disk."""
        with self.data.open("rb") as file:
            file.seek(self.offset + block * BLOCK * self.image_bytes)
            return hashlib.sha256(file.read(min(BLOCK, self.plan["n"] - block * BLOCK) * self.image_bytes)).hexdigest()

    def _recorded(self) -> dict[str, Any] | None:
        """The record, or None where it is damaged; then it is set aside."""
        try:
            record = json.loads(self.record.read_text())
            if not (isinstance(record["plan"], dict) and isinstance(record["done"], dict)):
                raise ValueError("not a record")
            wrong = [block for block in record["done"] if not 0 <= int(block) < self.blocks]
            if record["plan"] == self.plan and wrong:
                raise ValueError(f"no block {wrong[0]}")
        except (ValueError, KeyError, TypeError) as error:
            set_aside(self.record, error, "the images are drawn anew")
            return None
        return record

    def _collect(self) -> None:
        """Remove what killed processes left of the files that this one has written."""
        names = (f".{self.record.name}.", f".{self.about.name}.", f"{self.record.name}.damaged")
        with suppress(OSError):
            for file in self.path.parent.iterdir():
                if file.name.startswith(names) and (".damaged" in file.name or file.name.endswith(".partial")):
                    file.unlink(missing_ok=True)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Name the file in an error of the disk."""
    try:
        yield
    except OSError as error:
        full = "the disk is full: " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise OSError(error.errno, f"{full}cannot write {file}: {error.strerror}") from error


def beside(path: Path, ending: str) -> Path:
    """The hidden file of a dataset with an ending."""
    return path.with_name(f".{path.name}.{ending}")


def hashes(images: np.ndarray) -> dict[str, Any]:
    """The hash of the images, and of the first and the last half."""
    half = len(images) // 2
    return {"sha256": sha256(images), "halves": [sha256(images[:half]), sha256(images[len(images) - half :])]}


def sha256(images: np.ndarray) -> str:
    """The hash of the values of an array, read block by block."""
    digest = hashlib.sha256()
    for first in range(0, len(images), BLOCK):
        digest.update(np.ascontiguousarray(images[first : first + BLOCK]).tobytes())
    return digest.hexdigest()


def set_aside(file: Path, error: Exception, what: str) -> None:
    """Give a damaged file another name, and say so."""
    renamed = runs.set_aside(file)
    warnings.warn(f"{file} is damaged ({error}); it is now {renamed.name}, and {what}", stacklevel=3)


def locked(path: Path) -> AbstractContextManager[None]:
    """Be the only writer of a dataset; others wait."""
    return runs.locked(beside(path, "lock"), wait=True)
