"""Trained networks on a shelf, from which a laboratory takes them elsewhere: small, with a card that says what they are.

Weights go there in half precision where that costs no more than 0.01 dB at any noise level.
"""

import copy
import json
from pathlib import Path

from gahb_theory import runs
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.hypotheses.jobs import Training
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.metrics import psnr_curve

__all__ = ["publish"]

HALF_PRECISION_LOSS = 0.01
"""Decibels that the weights may lose by being kept in half precision."""
SIGMAS = (0.01, 0.03, 0.1, 0.3, 1.0)
IMAGES, NOISE_SEED = 64, 78


def publish(laboratory: Laboratory, training: Training, shelf: Path) -> Path:
    """Copy a trained network, as it is at the end, to shelf/NAME; one that is there is left as it is.

    Returns
    -------
    The folder, which `load_denoiser` reads. A network of another key under this name is replaced.
    """
    target = shelf / training.name
    if (target / "config.json").exists():
        known = json.loads((target / "config.json").read_text()).get("card", {}).get("key")
        if known == training.key:
            return target
    trained = laboratory.find(training)
    f = trained.load()
    x = training.some(IMAGES)
    rounded = copy.deepcopy(f).half().float()
    exact, coarse = (psnr_curve(g, x, SIGMAS, seed=NOISE_SEED).psnr for g in (f, rounded))
    card = {"key": training.key, "data": runs.describe(training.data), "recipe": runs.describe(training.recipe)}
    card |= {"psnr": {f"{sigma:g}": round(float(value), 3) for sigma, value in zip(SIGMAS, exact, strict=True)}}
    card |= {"versions": runs.versions(), "licence": "MIT"}
    target.mkdir(parents=True, exist_ok=True)
    log = trained.folder / "log.jsonl"
    if log.exists():
        runs.write_bytes(target / "log.jsonl", log.read_bytes())
    save_denoiser(f.half() if (exact - coarse).max() <= HALF_PRECISION_LOSS else f, target, card)
    return target
