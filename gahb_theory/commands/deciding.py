"""What `gahb test` and `gahb audit` compute: one claim, or all that the data allows, on a denoiser on disk."""

import inspect
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.commands.inputs import channels_of, with_channels
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses import Assessment, Hypothesis, assess, catalogue
from gahb_theory.hypotheses.audit import audit
from gahb_theory.images import CAlpha, Disks, Photographs, read_image
from gahb_theory.images.dataset import dataset
from gahb_theory.images.photographs import SUFFIXES, centre_crop
from gahb_theory.pretrained import named_denoiser

if TYPE_CHECKING:
    from gahb_theory.hypotheses.audit import Audit

__all__ = ["audited", "claim_of_catalogue", "claim_of_file", "training_images"]

OTHERS, TRAINING = 2048, 256
TEST_IMAGES = 64
CLASSES: dict[str, type] = {"disks": Disks, "c_alpha": CAlpha}


def claim_of_catalogue(
    name: str,
    denoiser: str | None,
    train: Path | None,
    twin: str | None,
    images: Path | None,
    image_class: str,
    size: int,
) -> Assessment:
    """The verdict on a hypothesis of the catalogue."""
    if name not in catalogue.__all__:
        raise ValueError(f"the catalogue has no {name!r}; it has {', '.join(catalogue.__all__)}, or give a .py file")
    if denoiser is None:
        raise ValueError(f"{name} is about a denoiser: give --denoiser PATH")
    f = named_denoiser(denoiser)
    make = getattr(catalogue, name)
    needs = list(inspect.signature(make).parameters)
    drawn: Any = CLASSES[image_class](size=size)
    known: dict[str, Any] = {"image_class": drawn}
    if "train" in needs:
        known["train"] = training_images(f, _given(train, name, "--train FOLDER"), size)
    if "twin" in needs:
        known["twin"] = named_denoiser(_given(twin, name, "--twin PATH"))
    if "image_class" in needs:
        h: Hypothesis = make(**{need: known[need] for need in needs if need in known})
        return assess(h, f, images=drawn)
    x, others = _test_images(f, images, size)
    h = make(**{need: entry for need, entry in (known | {"others": others}).items() if need in needs})
    return assess(h, f, images=x[: h.plan.images], train=others)


def audited(checkpoint: str, train: Path | None, twin: str | None, images: Path | None, size: int) -> "Audit":
    """The audit of a denoiser."""
    f = named_denoiser(checkpoint)
    x, others = _test_images(f, images, size)
    known = None if train is None else training_images(f, train, size)
    other = None if twin is None else named_denoiser(twin)
    return audit(f, x[:TEST_IMAGES], others, train=known, twin=other, name=Path(checkpoint).name)


def _given(value: Any, claim: str, option: str) -> Any:
    if value is None:
        raise ValueError(f"{claim} needs more than a denoiser: give {option}")
    return value


def _test_images(f: Denoiser, place: Path | None, size: int) -> tuple[Tensor, Tensor]:
    """Images to test on, and others: patches of photographs, or the two halves of a .npy file."""
    channels: Any = 3 if channels_of(f) == 3 else 1
    if place is not None and place.suffix == ".npy":
        halves = [with_channels(half.images(0, OTHERS), channels) for half in dataset(place).split()]
        return halves[0], halves[1]
    test = Photographs(place, size=size, channels=channels, split="test")
    return test.sample(TEST_IMAGES, seed=0), Photographs(place, size=size, channels=channels, split="train").sample(
        OTHERS, seed=1
    )


def training_images(f: Denoiser, path: Path, size: int) -> Tensor:
    """Training images: those of a .npy file, or the centre of each image of a folder."""
    if path.suffix == ".npy":
        data = dataset(path)
        return torch.stack([data[i] for i in range(min(TRAINING, len(data)))])
    files = sorted(file for file in validate.path(path, "train").rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{path} holds no images; give a folder of PNG or JPEG files, or a .npy file of gahb generate")
    result = [read_image(file, channels=3 if channels_of(f) == 3 else 1) for file in files[:TRAINING]]
    large = [centre_crop(x, (size, size)) for x in result if min(x.shape[2:]) >= size]
    if not large:
        raise ValueError(f"no image of {path} is {size} pixels wide and high; give --size")
    return torch.cat(large)


def claim_of_file(file: str, denoiser: str | None) -> Assessment:
    """The verdict on the hypothesis of a Python file."""
    f = None if denoiser is None else named_denoiser(denoiser)
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no {file}; give a Python file that defines `hypothesis`")
    names = runpy.run_path(file)
    if "hypothesis" not in names:
        raise ValueError(f"{file} defines no `hypothesis`; end it with hypothesis = gt.Hypothesis(...)")
    subject = names.get("subject") if f is None else f
    if subject is None:
        raise ValueError(f"{file} defines no `subject`, and none is given; define one, or give --denoiser PATH")
    given = {name: names.get(name) for name in ("images", "train")}
    return assess(names["hypothesis"], subject, names.get("rival"), **given)
