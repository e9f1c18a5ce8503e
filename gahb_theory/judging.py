"""The commands `gahb test` and `gahb audit`: one claim, or all that the data allows, on a denoiser on disk."""

import inspect
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tyro.conf import Positional

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses import Assessment, Hypothesis, assess, catalogue
from gahb_theory.hypotheses.audit import audit
from gahb_theory.images import CAlpha, Disks, ImageClass, Photographs, read_image
from gahb_theory.images.dataset import dataset
from gahb_theory.images.photographs import SUFFIXES, centre_crop
from gahb_theory.pretrained import named_denoiser
from gahb_theory.report.audit_page import audit_page

__all__ = ["AuditCommand", "ClaimCommand"]

OTHERS, TRAINING = 2048, 256
TEST_IMAGES = 64
LAWS: dict[str, type] = {"disks": Disks, "c_alpha": CAlpha}


@dataclass(frozen=True)
class ClaimCommand:
    """Decide a hypothesis: one of the catalogue on a denoiser, or one of your own.

    The names of the catalogue: symmetric, homogeneous, adaptive, sparse, near_optimal, tangent_first, no_extra_directions,
    memorises, agrees_with_twin, local, equivariant, knows_noise_level. A file defines `hypothesis`, and may define `subject`,
    `rival`, `images` and `train`, as `gahb_theory.assess` takes them; it is executed.
    """

    name: Positional[str]
    """A name of the catalogue, or a Python file."""
    denoiser: str | None = None
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint."""
    train: Path | None = None
    """Its training images: a folder, or a .npy file of `gahb generate`."""
    twin: str | None = None
    """A denoiser trained on other images."""
    images: Path | None = None
    """A folder of photographs to test on; by default the embedded ones."""
    law: Literal["disks", "c_alpha"] = "disks"
    """The image class of the claims that need one: near_optimal, tangent_first, no_extra_directions."""
    size: int = 32
    """Side of the images."""
    output: Path | None = None
    """A JSON file for the numbers."""

    def execute(self) -> Assessment:
        """Assess, and return what is printed."""
        f = None if self.denoiser is None else named_denoiser(self.denoiser)
        result = _own(self.name, f) if self.name.endswith(".py") else self._of_catalogue(f)
        if self.output is not None:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            result.save(self.output)
        return result

    def _of_catalogue(self, f: Denoiser | None) -> Assessment:
        if self.name not in catalogue.__all__:
            raise ValueError(
                f"the catalogue has no {self.name!r}; it has {', '.join(catalogue.__all__)}, or give a .py file"
            )
        if f is None:
            raise ValueError(f"{self.name} is about a denoiser: give --denoiser PATH")
        make = getattr(catalogue, self.name)
        needs = list(inspect.signature(make).parameters)
        images, others = _photographs(f, self.images, self.size)
        law: Any = LAWS[self.law](size=self.size)
        known: dict[str, Any] = {"others": others, "law": law}
        if "train" in needs:
            known["train"] = _training(f, _given(self.train, self.name, "--train FOLDER"), self.size)
        if "twin" in needs:
            known["twin"] = named_denoiser(_given(self.twin, self.name, "--twin PATH"))
        h: Hypothesis = make(**{need: known[need] for need in needs if need in known})
        if "law" in needs:
            return assess(h, f, images=law)
        return assess(h, f, images=images.sample(h.plan.images, seed=0), train=others)


@dataclass(frozen=True)
class AuditCommand:
    """Audit a denoiser: memory, distance from the optimum, basis, and what of the theory it obeys.

    Writes one self-contained page, verdicts first, and the numbers beside it.
    """

    checkpoint: Positional[str]
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    train: Path | None = None
    """Its training images: a folder, or a .npy file of `gahb generate`."""
    twin: str | None = None
    """A denoiser trained on other images."""
    images: Path | None = None
    """A folder of photographs to test on, none of them trained on; by default the embedded ones."""
    size: int = 24
    """Side of the images."""
    run: Path = Path("runs/audit")
    """Where the page and the numbers go."""

    def execute(self) -> Path:
        """Write the page and return its path."""
        f = named_denoiser(self.checkpoint)
        images, others = _photographs(f, self.images, self.size)
        train = None if self.train is None else _training(f, self.train, self.size)
        twin = None if self.twin is None else named_denoiser(self.twin)
        x = images.sample(TEST_IMAGES, seed=0)
        result = audit(f, x, others, train=train, twin=twin, name=Path(self.checkpoint).name)
        self.run.mkdir(parents=True, exist_ok=True)
        result.save(self.run / "audit.json")
        print(result)
        return audit_page(result, self.run / "report.html")


def _given(value: Any, claim: str, option: str) -> Any:
    if value is None:
        raise ValueError(f"{claim} needs more than a denoiser: give {option}")
    return value


def _channels(f: Denoiser) -> Literal[1, 3]:
    return 3 if getattr(f, "image_channels", 1) == 3 else 1


def _photographs(f: Denoiser, folder: Path | None, size: int) -> tuple[ImageClass, Tensor]:
    """Test photographs, and patches of others."""
    channels = _channels(f)
    test = Photographs(folder, size=size, channels=channels, split="test")
    return test, Photographs(folder, size=size, channels=channels, split="train").sample(OTHERS, seed=1)


def _training(f: Denoiser, path: Path, size: int) -> Tensor:
    """Training images: those of a .npy file, or the centre of each image of a folder."""
    if path.suffix == ".npy":
        data = dataset(path)
        return torch.stack([data[i] for i in range(min(TRAINING, len(data)))])
    files = sorted(file for file in validate.path(path, "train").rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{path} holds no images; give a folder of PNG or JPEG files, or a .npy file of gahb generate")
    found = [read_image(file, channels=_channels(f)) for file in files[:TRAINING]]
    large = [centre_crop(x, (size, size)) for x in found if min(x.shape[2:]) >= size]
    if not large:
        raise ValueError(f"no image of {path} is {size} pixels wide and high; give --size")
    return torch.cat(large)


def _own(file: str, f: Denoiser | None) -> Assessment:
    """The verdict on the hypothesis of a Python file."""
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
