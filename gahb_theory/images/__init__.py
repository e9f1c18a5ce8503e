"""Image classes: distributions one can sample, each with its ground truth."""

from gahb_theory.images.base import ImageClass, ManifoldScene, Scene
from gahb_theory.images.c_alpha import CAlpha, CAlphaScene
from gahb_theory.images.contours import ClosedContours, GraphContours
from gahb_theory.images.covariance import RegionCovariance, StationaryCovariance
from gahb_theory.images.dataset import ImageDataset, write_dataset
from gahb_theory.images.dead_leaves import DeadLeaves, DeadLeavesScene
from gahb_theory.images.disks import Disks
from gahb_theory.images.ellipses import Ellipses
from gahb_theory.images.gaussian import GaussianField, GaussianFieldScene, Texture
from gahb_theory.images.halves import Split, distinct, near_duplicates, split
from gahb_theory.images.harmonics import Ray, SineCone
from gahb_theory.images.holder_ball import HolderBall, HolderBallScene
from gahb_theory.images.photographs import Photographs, PhotographsScene, read_image
from gahb_theory.images.polygons import Polygons
from gahb_theory.images.shuffled import Shuffled, ShuffledScene

__all__ = [
    "CAlpha",
    "CAlphaScene",
    "ClosedContours",
    "DeadLeaves",
    "DeadLeavesScene",
    "Disks",
    "Ellipses",
    "GaussianField",
    "GaussianFieldScene",
    "GraphContours",
    "HolderBall",
    "HolderBallScene",
    "ImageClass",
    "ImageDataset",
    "ManifoldScene",
    "Photographs",
    "PhotographsScene",
    "Polygons",
    "Ray",
    "RegionCovariance",
    "Scene",
    "Shuffled",
    "ShuffledScene",
    "SineCone",
    "Split",
    "StationaryCovariance",
    "Texture",
    "distinct",
    "near_duplicates",
    "read_image",
    "split",
    "write_dataset",
]
