"""What a network is trained on, where a path is given in place of images."""

from pathlib import Path
from typing import Any

from gahb_theory import validate
from gahb_theory.images.dataset import dataset
from gahb_theory.images.photographs import Photographs
from gahb_theory.images.stream import Data

__all__ = ["training_data"]


def training_data(data: Data | str | Path, f: Any = None, size: int = 64) -> Data:
    """The images at a path: patches of the photographs in a folder, or the images of a .npy file; other data as it is.

    Parameters
    ----------
    data
        What `train` takes.
    f
        The network; its `image_channels` say whether photographs are read in colour.
    size
        Side of the patches of photographs.

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> training_data(Disks(size=16))
    Disks(size=16, edge=1.0, jump=0.2)
    """
    if not isinstance(data, str | Path):
        return data
    place = validate.path(data, "data")
    if place.suffix == ".npy":
        return dataset(place)
    if not place.is_dir():
        raise FileNotFoundError(
            2, f"data must be images, an image class, a folder of photographs or a .npy file; nothing is at {place}"
        )
    return Photographs(place, size=size, channels=3 if getattr(f, "image_channels", 1) == 3 else 1)
