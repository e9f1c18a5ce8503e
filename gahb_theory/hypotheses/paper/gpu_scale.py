"""The published sizes on one GPU: 80 x 80 pixels, UNet(64, 3), N = 1 ... 10^5, alpha = 1, 2, 3, disks (figures 1, 2, 4, 5).

    gahb reproduce --scale gpu               pieces until 8.5 minutes are over; status 75 while some are left
    gahb reproduce --scale gpu --dry-run     every line of it on a CPU, at 1/1000 of the images, 32 x 32 pixels, 8 channels
    gahb reproduce report --scale gpu        the table of what has been measured

A piece is one network. What was begun goes on at the next call, in the middle of a training too: training sets and trainings
lie beside the results. Of each piece there are numbers and samples, 1 MB, and the network in half precision where that is
wanted: 15 MB.

For each network: PSNR on images of its set and on fresh ones, that of the Wiener filter of its set, the slope over [.03, .3],
samples, copies; for each N the cosine of samples on two disjoint sets beside that of two Wiener filters. One network of each
kind: these are numbers without verdicts. Training runs in bfloat16 on a GPU; each piece says on which card and how fast.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import runs, stored_results
from gahb_theory.denoisers import GaussianDenoiser, UNet
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.generalization import copies
from gahb_theory.images import CAlpha, Disks
from gahb_theory.metrics import psnr_curve
from gahb_theory.sampling import generate
from gahb_theory.training import Recipe, train
from gahb_theory.workers import pool

__all__ = ["DRY", "PIECES", "PUBLISHED", "UNFINISHED", "Clock", "Piece", "Scale", "do_all", "table"]

SIGMAS = (0.03, 0.05, 0.1, 0.2, 0.3)
IMAGE_SEED, NOISE_SEED, TEST_PART, PART = 80, 78, 2, 10**7
UNFINISHED = 75
"""Exit status while pieces are left."""
AFTER_TRAINING = 90.0
"""Seconds kept for measuring a network at the end of a call."""


@dataclass(frozen=True)
class Scale:
    """Sizes."""

    size: int = 80
    channels: int = 64
    blocks: int = 3
    images_seen: int = 400_000
    batch_size: int = 128
    per_image: int = 1
    """Training images are one in so many."""
    block: int = 10_000
    """Training images in one file."""
    test_images: int = 128
    samples: int = 32
    step: float = 0.05


PUBLISHED = Scale()
DRY = Scale(
    size=32,
    channels=8,
    images_seen=400,
    batch_size=16,
    per_image=1000,
    block=50,
    test_images=4,
    samples=2,
    step=0.5,
)


@dataclass(frozen=True)
class Piece:
    """One network: its image class, the number of its training images, and which of two disjoint sets they are."""

    images: str
    n: int
    half: str = "A"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.images}_{self.n}_{self.half}"

    def count(self, s: Scale) -> int:
        """Training images at this scale."""
        return max(1, self.n // s.per_image)


PIECES = (
    *(Piece("c_alpha_2", n, half) for n in (100_000, 100, 10_000, 1000, 10, 1) for half in "AB"),
    *(Piece(name, 100_000) for name in ("c_alpha_1", "c_alpha_3", "disks")),
)
"""The most wanted first."""


class Clock:
    """How many seconds a call has left."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()


def images(name: str, s: Scale) -> Any:
    """An image class."""
    return Disks(size=s.size) if name == "disks" else CAlpha(alpha=float(name[-1]), size=s.size)


def drawn(X: Any, start: int, count: int) -> np.ndarray:
    """Images of a class in half precision, for another process."""
    return X.sample(count, seed=IMAGE_SEED, start=start).numpy().astype(np.float16)


def training_set(piece: Piece, s: Scale, folder: Path, workers: int) -> Tensor:
    """The images of a piece, in blocks of which each is drawn once; for a smaller N they are the first of a larger one."""
    X, n, found = images(piece.images, s), piece.count(s), []
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, n, s.block):
        count = min(s.block, n - first)
        file = folder / f"{piece.images}_{piece.half}_{first}_{count}.npy"
        if not file.exists():
            start = "AB".index(piece.half) * PART + first
            edges = np.linspace(0, count, min(workers, count) + 1).astype(int)
            places = [(X, start + int(a), int(b - a)) for a, b in pairwise(edges)]
            if workers > 1 and count > workers:
                with pool(workers) as processes:
                    parts = [job.result() for job in [processes.submit(drawn, *place) for place in places]]
            else:
                parts = [drawn(*place) for place in places]
            np.save(file.with_suffix(".part.npy"), np.concatenate(parts))
            file.with_suffix(".part.npy").rename(file)
        found.append(torch.from_numpy(np.load(file)).float())
    return torch.cat(found)


def trained(piece: Piece, x: Tensor, s: Scale, folder: Path, device: str, clock: Clock) -> tuple[Any, float] | None:
    """The network and its images per second; None where the time was over, and the next call goes on."""
    seed = 1 + PIECES.index(piece)
    recipe = Recipe(images_seen=s.images_seen, batch_size=s.batch_size, sigma_max=3.0, seed=seed)
    network = UNet(s.channels, s.blocks, seed=seed).to(device)
    over = Event()

    def ring() -> None:
        over.set()
        os.kill(os.getpid(), signal.SIGINT)

    alarm = Timer(max(1.0, clock.left - AFTER_TRAINING), ring, ())
    alarm.daemon = True
    alarm.start()
    try:
        f = train(network, x, recipe=recipe, run=folder).eval()
    except KeyboardInterrupt:  # train has saved its state
        if not over.is_set():  # who interrupts by hand wants no further call
            raise
        return None
    finally:
        alarm.cancel()
    last = (folder / "log.jsonl").read_text().splitlines()[-1]
    return f.requires_grad_(False), s.images_seen / max(json.loads(last)["seconds"], 1e-9)


def slope(psnr: Any) -> float:
    """Slope of the PSNR against -20 log10 sigma."""
    return float(np.polyfit(-20 * np.log10(SIGMAS), np.asarray(psnr, dtype=float), 1)[0])


def measured(piece: Piece, f: Any, x: Tensor, s: Scale, device: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers, and samples of the network and of the Wiener filter."""
    test = images(piece.images, s).sample(s.test_images, seed=IMAGE_SEED, start=TEST_PART * PART).to(device)
    own, linear = x[: s.test_images].to(device), GaussianDenoiser.fit(x.to(device)).float()
    found: dict[str, Any] = {}
    for name, g in (("network", f), ("wiener", linear)):
        for kind, z in (("seen", own), ("fresh", test)):
            found[f"psnr_{kind}_{name}"] = psnr_curve(g, z, SIGMAS, seed=NOISE_SEED).psnr.round(4).tolist()
        found[f"slope_{name}"] = round(slope(found[f"psnr_fresh_{name}"]), 4)
    shape = (s.samples, 1, s.size, s.size)
    samples = {}
    for name, g in (("network", f), ("wiener", linear)):
        samples[name] = generate(g, shape, seed=NOISE_SEED, step=s.step, max_steps=2000).images.cpu()
    share = copies(samples["network"], x[: 20 * s.block], 0.95).share
    found["copies"] = round(float(share.value), 4)
    return found, {name: y.numpy().astype(np.float16) for name, y in samples.items()}


def card(device: str) -> str:
    """What it was computed on."""
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def do(piece: Piece, s: Scale, keep: Path, out: Path, clock: Clock, *, networks: bool = False) -> bool:
    """One piece; whether it is finished."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    began = time.monotonic()
    workers = min(16, os.cpu_count() or 1) if s.per_image == 1 else 1
    x = training_set(piece, s, keep / "images", workers)
    drawn_in = time.monotonic() - began
    if clock.left < AFTER_TRAINING + 30:
        return False
    result = trained(piece, x, s, keep / "trainings" / piece.name, device, clock)
    if result is None:
        return False
    f, rate = result
    began = time.monotonic()
    numbers, samples = measured(piece, f, x, s, device)
    settings = {"n": len(x), "images_seen": s.images_seen, "size": s.size, "channels": s.channels, "blocks": s.blocks}
    seconds = {"drawing": round(drawn_in, 1), "measuring": round(time.monotonic() - began, 1)}
    where = {"card": card(device), "images_per_second": round(rate, 1), "seconds": seconds, "versions": runs.versions()}
    stored_results.write_arrays(out / f"{piece.name}.npz", samples)
    if networks:
        save_denoiser(f.half(), out / piece.name, {"data": piece.name, **settings})
    runs.write_json(out / f"{piece.name}.json", {"piece": piece.name, "settings": settings, **where, **numbers})
    return True


def cosine(out: Path, n: int, kind: str) -> float | None:
    """Mean cosine of samples on the two sets, without their means."""
    found = [stored_results.read_arrays(out / f"c_alpha_2_{n}_{half}.npz").get(kind) for half in "AB"]
    pair = [a for a in found if a is not None]
    if len(pair) < 2:
        return None
    u, v = (a.astype(float).reshape(len(a), -1) for a in pair)
    u, v = u - u.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
    return float(((u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)).mean())


def table(out: Path) -> str:
    """What has been measured, as Markdown."""
    lines = [
        "| network | card, images/s | PSNR seen, fresh, Wiener (sigma = .1) | slope, Wiener | copies | cosine A, B; Wiener |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for piece in PIECES:
        file = out / f"{piece.name}.json"
        if not file.exists():
            continue
        r = runs.read_json(file)
        at = SIGMAS.index(0.1)
        both = [cosine(out, piece.n, kind) for kind in ("network", "wiener")] if piece.images == "c_alpha_2" else [None]
        shown = "" if None in both else f"{both[0]:.3f}; {both[1]:.3f}"
        psnr = ", ".join(f"{r[k][at]:.2f}" for k in ("psnr_seen_network", "psnr_fresh_network", "psnr_fresh_wiener"))
        lines.append(
            f"| {piece.name} | {r['card']}, {r['images_per_second']:g} | {psnr} | {r['slope_network']:.3f}, "
            f"{r['slope_wiener']:.3f} | {r['copies']:.2f} | {shown} |"
        )
    return "\n".join(lines) + "\n"


def do_all(s: Scale, keep: Path, out: Path, minutes: float, pieces: Sequence[Piece], *, networks: bool = False) -> bool:
    """Do pieces until the minutes are over; whether all are done."""
    clock = Clock(minutes)
    out.mkdir(parents=True, exist_ok=True)
    for piece in pieces:
        if (out / f"{piece.name}.json").exists():
            continue
        if not do(piece, s, keep, out, clock, networks=networks):
            print(f"{piece.name}: goes on at the next call", flush=True)
            return False
        print(f"{piece.name}: done, {clock.left:.0f} s left", flush=True)
    return True
