"""The tour: from image classes to a report, on what comes with the library.

Images are drawn and denoised by a small network; the network's Jacobian is taken in the middle of one of them; its
eigenbasis is compared with wavelets, cosines and principal components; the PSNR is set beside the oracles and the slope of
the theory. Everything goes to a run directory, and the report is drawn from that directory alone.
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gahb_theory import runs, stored_results, validate
from gahb_theory.bases.base import Basis
from gahb_theory.commands.naming import command_line
from gahb_theory.commands.settings_of_tour import Tour
from gahb_theory.comparison import (
    ImageAnalysis,
    Performance,
    analyse_image,
    compare_performance,
    reference_bases,
)
from gahb_theory.images import CAlpha, Disks, ImageClass, Photographs, Shuffled
from gahb_theory.images.photographs import centre_crop
from gahb_theory.pretrained import shipped_class, shipped_denoiser, train_shipped
from gahb_theory.progress import progress_bar
from gahb_theory.report.tour_page import FORMAT, tour_report

__all__ = ["Tour", "run_tour"]

SIGMAS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0)
WINDOW = (0.05, 0.5)
PCA_SAMPLES = 1024
PCA_SEED = 2**41
SHOWN = {"c_alpha": 6, "photographs": 21}


def run_tour(tour: Tour) -> Path:
    """Compute what is missing in the run directory, draw the report and return its path."""
    names: tuple[Literal["c_alpha", "photographs"], ...] = ("c_alpha", "photographs")
    validate.sigma_level(tour.sigma)
    validate.integer(tour.side, "side", 8)
    validate.integer(tour.test_images, "test_images", 2)
    validate.seed(tour.seed)
    validate.integer(tour.retrain_images, "retrain_images", 1)
    tests = {name: shipped_class(name, split="test").sample(tour.test_images, seed=tour.seed) for name in names}
    shipped = {name: shipped_denoiser(name) for name in names}
    settings = {key: value for key, value in runs.describe(tour).items() if key not in ("class", "run")}
    config = {
        "command": "tour",
        "format": FORMAT,
        "settings": settings,
        "classes": {name: runs.describe(shipped_class(name, split="test")) for name in names},
        "data": {name: runs.fingerprint(x) for name, x in tests.items()},
        "denoisers": {name: runs.fingerprint_parameters(f) for name, f in shipped.items()},
        "versions": runs.versions(),
        "typed": command_line("tour", tour),
    }
    run = runs.open_run(tour.run or _default_directory(settings), config)
    arrays = stored_results.read_arrays(run / "arrays.npz")

    @cache
    def bases(name: Literal["c_alpha", "photographs"], side: int) -> dict[str, Basis]:
        return reference_bases(centre_crop(shipped_class(name).sample(PCA_SAMPLES, seed=PCA_SEED), (side, side)))

    def keep(new: dict[str, np.ndarray]) -> None:
        arrays.update(new)
        stored_results.write_arrays(run / "arrays.npz", arrays)

    with progress_bar(total=3 * len(names), desc="tour", unit=" parts", leave=True) as bar:
        for name in names:
            x, f = tests[name], shipped[name]
            side = min(tour.side, x.shape[-1])
            for part in ("analysis", "performance", "retrained"):
                bar.set_postfix_str(f"{name}, {part}")
                if not any(key.startswith(f"{name}/{part}/") for key in arrays):
                    if part == "analysis":
                        shown = SHOWN[name] % tour.test_images
                        square = centre_crop(x[shown : shown + 1], (side, side))
                        analysis = analyse_image(f, square, tour.sigma, bases(name, side), seed=tour.seed)
                        contour = _contour(name, shown, tour.seed, side)
                        keep(stored_results.to_arrays(analysis, f"{name}/analysis") | contour)
                    elif part == "performance":
                        measured = compare_performance(
                            f, x, SIGMAS, bases(name, x.shape[-1]), window=WINDOW, seed=tour.seed
                        )
                        keep(stored_results.to_arrays(measured, f"{name}/performance"))
                    elif tour.retrain:
                        anew = train_shipped(name, run / "retrained" / name, tour.retrain_images)
                        measured = compare_performance(
                            anew, x, SIGMAS, bases(name, x.shape[-1]), window=WINDOW, seed=tour.seed
                        )
                        keep(stored_results.to_arrays(measured, f"{name}/retrained"))
                bar.update()
    if not any(key.startswith("classes/") for key in arrays):
        classes = _shown_classes().items()
        keep({f"classes/{title}": image_class.sample(8, seed=tour.seed).numpy() for title, image_class in classes})
    runs.write_csv(run / "metrics.csv", _metrics(arrays, names))
    return tour_report(run)


def _contour(name: Literal["c_alpha", "photographs"], shown: int, seed: int, side: int) -> dict[str, np.ndarray]:
    """Where the analysed image is inside its contour, as an array; nothing where it is not known."""
    scene = shipped_class(name, split="test").scene(1, seed=seed, start=shown)
    coverage = getattr(scene, "coverage", None)
    return {} if coverage is None else {f"{name}/coverage": centre_crop(coverage, (side, side))[0, 0].numpy()}


def _default_directory(settings: dict[str, Any]) -> Path:
    default = {key: value for key, value in runs.describe(Tour()).items() if key in settings}
    changed = "".join(f"-{key}-{value}" for key, value in settings.items() if value != default[key])
    return Path("runs") / f"tour{changed}"


def _shown_classes() -> dict[str, ImageClass]:
    """The image classes of the first figure."""
    return {
        "C^alpha images, alpha = 1": CAlpha(alpha=1.0),
        "C^alpha images, alpha = 2": CAlpha(alpha=2.0),
        "C^alpha images, alpha = 2, as published": CAlpha(alpha=2.0, convention="paper"),
        "disks": Disks(),
        "photographs": Photographs(),
        "disks, shuffled": Shuffled(Disks()),
    }


def _metrics(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every number of the report as a row of a tidy table."""
    rows: list[dict[str, Any]] = []
    for name in names:
        analysis = stored_results.from_arrays(ImageAnalysis, arrays, f"{name}/analysis")
        rows += [{"case": name, "sigma": ""} | row for row in analysis.rows()]
        for part in ("performance", "retrained"):
            if f"{name}/{part}/sigmas" not in arrays:
                continue
            p = stored_results.from_arrays(Performance, arrays, f"{name}/{part}")
            suffix = "_retrained" if part == "retrained" else ""
            for row in p.rows():
                common = {"case": name, "method": row["method"] + suffix, "sigma": row["sigma"]}
                for key, quantity in (("psnr", "psnr"), ("low", "psnr_low"), ("high", "psnr_high")):
                    rows.append(common | {"quantity": quantity, "value": row[key]})
            for method, m in p.methods.items():
                for quantity, value in (
                    ("slope", m.slope.slope),
                    ("slope_low", m.slope.low),
                    ("slope_high", m.slope.high),
                ):
                    rows.append(
                        {"case": name, "method": method + suffix, "quantity": quantity, "sigma": "", "value": value}
                    )
    keys = ("case", "method", "quantity", "sigma", "value")
    return [{key: row[key] for key in keys} for row in rows]
