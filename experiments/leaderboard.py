"""Judge denoisers on the benchmark, and write the leaderboard that comes with the package.

    python experiments/leaderboard.py              all entries, about an hour of one core
    python experiments/leaderboard.py UNet DiT     some

Networks are trained by the default recipe on IMAGES_SEEN images of each class, one network for each class, one seed. Those
without training get what their name says: a Wiener filter and the local machines see FITTED images of the class. Killed at any
moment, the same command goes on.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory import denoisers, runs
from gahb_theory.bases import Bandlet, CycleSpinning, Wavelet
from gahb_theory.denoisers import (
    EquivariantPatchBayes,
    LinearDenoiser,
    NonLocalMeans,
    PatchBayes,
    StationaryGaussianDenoiser,
    WienerPatchBayes,
)
from gahb_theory.hypotheses.benchmark import LEADERBOARD, VERSION, benchmark, standard_classes
from gahb_theory.shrinkage import BayesShrink

IMAGES_SEEN, FITTED, SMALL_SET = 40_000, 4096, 512
RESULTS = Path(__file__).parent / "results" / "leaderboard"
RUNS = Path("runs") / "leaderboard"


def fitted(make: Callable[[torch.Tensor], Any], n: int = FITTED) -> Callable[[str, Any], Any]:
    """A denoiser made from images of its class, none of which is a test image."""
    return lambda name, X: make(X.sample(n, seed=1))


def fixed(f: Any) -> Callable[[str, Any], Any]:
    """A denoiser that is the same for all classes."""
    return lambda name, X: f


def trained(label: str, make: Callable[[], Any]) -> Callable[[str, Any], Any]:
    """A network trained on its class."""

    def train(name: str, X: Any) -> Any:
        recipe = gt.Recipe(images_seen=IMAGES_SEEN, seed=0)
        return gt.train(make(), X, recipe=recipe, run=RUNS / f"{label}-{name}").eval()

    return train


def wavelet_shrinkage(basis: Any, shrinkage: Any) -> Any:
    """Thresholding in a basis."""
    return gt.ShrinkageDenoiser(basis, shrinkage)


ENTRIES: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "identity": ("does nothing", fixed(lambda y, sigma: y)),
    "Wiener": (f"linear, of {FITTED} images", fitted(StationaryGaussianDenoiser.fit)),
    "soft wavelet": ("sym4, universal threshold 3 sigma", fixed(wavelet_shrinkage(Wavelet("sym4"), gt.Soft(3.0)))),
    "hard wavelet": ("sym4, threshold 3 sigma", fixed(wavelet_shrinkage(Wavelet("sym4"), gt.Hard(3.0)))),
    "BayesShrink": ("sym4", fixed(wavelet_shrinkage(Wavelet("sym4"), BayesShrink()))),
    "cycle spinning": ("sym4, threshold 3 sigma", fixed(wavelet_shrinkage(CycleSpinning(Wavelet("sym4")), gt.Hard(3.0)))),
    "bandlets": ("threshold 3 sigma", fixed(wavelet_shrinkage(Bandlet(), gt.Hard(3.0)))),
    "local machine": (f"patches of {SMALL_SET} images", fitted(PatchBayes, SMALL_SET)),
    "equivariant local machine": (f"patches of {SMALL_SET} images", fitted(EquivariantPatchBayes, SMALL_SET)),
    "UNet": ("UNet(8, 2)", trained("UNet", lambda: gt.UNet(8, 2, seed=0))),
    "BF-CNN": ("BFCNN(16, 8)", trained("BF-CNN", lambda: gt.BFCNN(16, 8, seed=0))),
    "DnCNN": ("DnCNN(16, 8)", trained("DnCNN", lambda: gt.DnCNN(16, 8, seed=0))),
    "DiT": ("DiT(16, patch 2, width 64, depth 4)", trained("DiT", lambda: gt.DiT(size=16, patch=2, width=64, depth=4, heads=4, seed=0))),
    "conservative UNet": ("Conservative(UNet(8, 2))", trained("conservative", lambda: gt.Conservative(gt.UNet(8, 2, seed=0)))),
}


def main(names: list[str]) -> None:
    """Judge the entries that have no result yet, and write the leaderboard of all that have one."""
    for name in names or ENTRIES:
        file = RESULTS / f"{name}.json"
        if not file.exists():
            _, make = ENTRIES[name]
            judged = benchmark({label: make(label, X) for label, X in standard_classes().items()}, name=name)
            RESULTS.mkdir(parents=True, exist_ok=True)
            judged.save(file)
            print(judged, flush=True)
    entries = []
    for name, (what, _) in ENTRIES.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            stored = runs.read_json(file)
            scores = {k: {end: round(s[end], 4) for end in ("value", "low", "high")} for k, s in stored["scores"].items()}
            entries.append({"name": name, "what": what, "total": round(stored["total"]["value"], 4), "scores": scores})
    entries.sort(key=lambda entry: entry["total"])
    runs.write_json(LEADERBOARD, {"version": VERSION, "entries": entries})
    for entry in entries:
        print(f"{entry['total']:8.2f} dB  {entry['name']}")


if __name__ == "__main__":
    main(sys.argv[1:])
