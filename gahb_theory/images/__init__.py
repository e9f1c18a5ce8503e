"""Image classes: laws one can sample, each with the truth about it."""

from gahb_theory.images.base import ImageClass, Scene
from gahb_theory.images.c_alpha import CAlpha, CAlphaScene
from gahb_theory.images.dataset import write_dataset
from gahb_theory.images.disks import Disks, DisksScene
from gahb_theory.images.photographs import Photographs, PhotographsScene, read_image
from gahb_theory.images.shuffled import Shuffled, ShuffledScene
from gahb_theory.images.split import Split, distinct, split

__all__ = [
    "CAlpha",
    "CAlphaScene",
    "Disks",
    "DisksScene",
    "ImageClass",
    "Photographs",
    "PhotographsScene",
    "Scene",
    "Shuffled",
    "ShuffledScene",
    "Split",
    "distinct",
    "read_image",
    "split",
    "write_dataset",
]
