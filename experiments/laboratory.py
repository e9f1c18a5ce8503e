"""What all experiments share: scales, networks that are trained once, measurements that are made once, results that are kept.

An experiment is a file with four things: `SCALES`, its settings at each scale; `jobs`, the networks it needs; `measure`, which
turns them into numbers; `claims`, which judges the numbers. A function of its name in `pictures.py` draws them. `main` does
all but the last, which is the work of `report.py`:

    jobs       --train-->    checkpoints/NAME/           once for each hash of (network, images, recipe)
    networks   --measure-->  runs/experiments/SCALE/...  once for each hash of its inputs
    measures   --keep-->     results/EXPERIMENT/         results.json, arrays.npz
    results    --draw-->     results/report.html         by report.py, from the results alone

Killed at any moment, the same command goes on. On a processor the pieces run side by side, one thread each.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory import runs, stored_results
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.identity.hashing import digest, hash_files
from gahb_theory.sweeps import KEY_LENGTH, Executor, Serial, key
from gahb_theory.workers import pool

HERE = Path(__file__).parent
ARRAYS = "arrays.npz"
PHOTOGRAPHS = "GAHB_PHOTOGRAPHS"
SIGMAS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0)
HALF_PRECISION_LOSS = 0.01
"""Decibels that the weights may lose by being kept in half precision."""
TEST_SEED, NOISE_SEED = 77, 78
PAPER_RECIPE = replace(gt.Recipe.published(), images_seen=250_000_000, batch_size=512)
"""1000 epochs of 250,000 images."""

Verdict = Literal["holds", "holds in part", "does not hold at this scale"]


@dataclass(frozen=True)
class Patches:
    """Patches of the photographs in the folder that GAHB_PHOTOGRAPHS names, or of the embedded ones.

    What is computed from them is named by `digest`, a hash of the files, so that it does not depend on where they lie.
    """

    size: int
    digest: str = "embedded"

    @staticmethod
    def here(size: int) -> "Patches":
        """Of the folder as it is now."""
        if (folder := os.environ.get(PHOTOGRAPHS)) is None:
            return Patches(size)
        return Patches(size, hash_files(Path(folder))["sha256"][:16])

    def scene(self, n: int, *, seed: int = 0, start: int = 0) -> Any:
        """Patches, and the photograph each comes from."""
        return gt.Photographs(os.environ.get(PHOTOGRAPHS), size=self.size).scene(n, seed=seed, start=start)

    def sample(self, n: int, *, seed: int = 0, start: int = 0) -> Tensor:
        """Patches of all photographs."""
        return self.scene(n, seed=seed, start=start).images


@dataclass(frozen=True)
class TrainingSet:
    """What a network is trained on: fresh images of a class, or n fixed ones.

    Fixed images come in two disjoint halves, A and B, and a third set for testing. Those of photographs are patches of
    disjoint thirds of the photographs; of other classes, disjoint draws. Near-duplicates are removed at a cosine of 0.95.
    """

    law: gt.ImageClass | Patches
    n: int | None = None
    half: Literal["A", "B"] = "A"

    def data(self) -> Any:
        """What `gt.train` takes."""
        return self.law if self.n is None else self.images()

    def images(self) -> Tensor:
        """The n images; for a smaller n the first of those for a larger one."""
        if self.n is None:
            raise ValueError("fresh images have no end")
        if isinstance(self.law, Patches):
            return _patches(self.law, self.n, "AB".index(self.half))
        halves = gt.split(self.law.sample(3 * self.n + 16), self.n)
        return halves.first if self.half == "A" else halves.second

    def test(self, n: int) -> Tensor:
        """Images that neither half holds."""
        if isinstance(self.law, Patches) and self.n is not None:
            return _patches(self.law, n, 2)
        return self.law.sample(n, seed=TEST_SEED)


def _patches(law: Patches, n: int, third: int) -> Tensor:
    """The first n patches, near-duplicates left out, of every third photograph."""
    drawn, start = torch.empty(0), 0
    while True:
        count = 4 * (n - len(drawn)) + 64
        scene = law.scene(count, start=start)
        start += count
        own = scene.images[scene.photograph % 3 == third]
        drawn = torch.cat([drawn.reshape(-1, *own.shape[1:]), own])
        if len(drawn) >= n:
            distinct = drawn[gt.distinct(drawn)]
            if len(distinct) >= n:
                return distinct[:n].clone()


@dataclass(frozen=True)
class Job:
    """One network to be trained."""

    name: str
    images: TrainingSet
    recipe: gt.Recipe
    channels: int
    blocks: int

    def network(self) -> gt.UNet:
        """The network before training."""
        return gt.UNet(self.channels, self.blocks, self.images.law.sample(1).shape[1])

    @property
    def key(self) -> str:
        """Hash of all that makes the network: its names, settings and photographs, on any machine.

        The code is not in it, nor a sample of the images: the networks that come with the source are known by it.
        """
        inputs = {"run": "laboratory.train_network", "config": runs.describe(self)}
        return digest(inputs)[:KEY_LENGTH]


def train_network(job: Job, directory: Path) -> dict[str, Any]:
    """Train, measure the PSNR, and save with a model card, in half precision where that costs nothing."""
    f = gt.train(job.network(), job.images.data(), recipe=job.recipe, run=directory / "training").eval()
    x = job.images.test(64)
    rounded = gt.UNet(**f.configuration)
    rounded.load_state_dict({name: value.half().to(value.dtype) for name, value in f.state_dict().items()})
    exact, coarse = (gt.psnr_curve(g.eval(), x, SIGMAS, seed=NOISE_SEED).psnr for g in (f, rounded))
    half = bool((exact - coarse).max() <= HALF_PRECISION_LOSS)
    psnr = {f"{sigma:g}": round(float(value), 3) for sigma, value in zip(SIGMAS, exact, strict=True)}
    card = {"key": job.key, "data": runs.describe(job.images), "recipe": runs.describe(job.recipe), "psnr": psnr}
    card |= {"versions": runs.versions(), "licence": "MIT"}
    save_denoiser(f.half() if half else f, directory / "denoiser", card)
    return {"psnr": psnr, "half_precision": half}


@dataclass(frozen=True)
class Measurement:
    """What a measurement depends on; where the networks lie, and the device, do not count."""

    settings: Any
    name: str
    key: Any
    """Of the networks that it is about."""
    place: Mapping[str, Any] = field(compare=False)


def _measured(
    function: Callable[[Any, Path], Mapping[str, Any]], measurement: Measurement, directory: Path
) -> Mapping[str, Any]:
    """Call the function of an experiment."""
    known = {"settings": measurement.settings, "name": measurement.name, "key": measurement.key}
    return function({**measurement.place, **known}, directory)


def load(place: Mapping[str, Any], name: str) -> gt.UNet:
    """One trained network, in single precision, from place["checkpoints"] on place["device"]."""
    return gt.load_denoiser(place["checkpoints"] / name).float().to(place["device"])  # type: ignore[return-value]


@dataclass(frozen=True)
class Laboratory:
    """Where an experiment runs, at one scale."""

    experiment: str
    scale: str
    folder: Path
    """For what can be computed again."""
    checkpoints: Path
    results: Path
    workers: int = 1
    device: str = "cpu"

    def networks(self, jobs: Sequence[Job]) -> dict[str, gt.UNet]:
        """The trained networks by name; those that are missing are trained."""
        training = self.folder / "training"
        for job in jobs:  # what a killed run has finished
            if not self._has(job) and (self._trained(job) / "result.json").exists():
                self._store(job)
        missing = [job for job in jobs if not self._has(job)]
        with self._executor() as executor:
            gt.sweep(missing, train_network, executor, folder=training)
        for job in missing:
            self._store(job)
        return {job.name: load(self._place, job.name) for job in jobs}

    def measures(
        self, settings: Any, keys: Mapping[str, Any], function: Callable[[Any, Path], Mapping[str, Any]]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
        """What `function` finds under each name: numbers by name, and the arrays it writes, called NAME/ARRAY.

        Parameters
        ----------
        settings
            Those of the experiment.
        keys
            For each name the hash of the networks that it is about, or several.
        function
            Called with a configuration that holds "settings", "name", "key" and what `load` needs, and a directory for
            arrays.npz. It returns numbers.
        """
        configs = [Measurement(settings, name, value, self._place) for name, value in keys.items()]
        with self._executor() as executor:
            pieces = gt.sweep(configs, partial(_measured, function), executor, folder=self.folder / "measures")
        found = {piece.config.name: piece for piece in pieces}
        stored = {name: stored_results.read_arrays(piece.directory / ARRAYS) for name, piece in found.items()}
        arrays = {f"{name}/{label}": a for name, group in stored.items() for label, a in group.items()}
        return {name: piece.result for name, piece in found.items()}, arrays

    def keep(self, results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write results.json and arrays.npz, images in half precision."""
        folder = self.results / self.experiment
        folder.mkdir(parents=True, exist_ok=True)
        small = {
            name: a.astype(np.float16 if a.ndim > 2 else np.float32) if a.dtype.kind == "f" else a
            for name, a in arrays.items()
        }
        stored_results.write_arrays(folder / ARRAYS, small)
        versions = runs.versions()
        runs.write_json(folder / "results.json", {"scale": self.scale, "versions": versions, **results})

    @property
    def _place(self) -> dict[str, Any]:
        """Where networks are, and where they go."""
        return {"checkpoints": self.checkpoints.resolve(), "device": self.device}

    @property
    def kept(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `keep` wrote."""
        return read_results(self.results, self.experiment)

    def _has(self, job: Job) -> bool:
        file = self.checkpoints / job.name / "config.json"
        return file.exists() and json.loads(file.read_text())["card"].get("key") == job.key

    def _trained(self, job: Job) -> Path:
        """The directory in which the sweep trains a network."""
        return self.folder / "training" / key(train_network, job)

    def _store(self, job: Job) -> None:
        source, target = self._trained(job) / "denoiser", self.checkpoints / job.name
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir(), key=lambda f: f.name == "config.json"):  # the key comes last
            runs.write_bytes(target / file.name, file.read_bytes())
        log = self._trained(job) / "training" / "log.jsonl"
        runs.write_bytes(target / "log.jsonl", log.read_bytes())

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        if self.workers == 1:
            yield Serial()
            return
        with pool(self.workers) as processes:
            yield processes


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, our number, its number, and what follows."""

    claim: str
    ours: str
    paper: str
    verdict: Verdict
    why: str


def judge(met: Sequence[bool]) -> Verdict:
    """All, some or none of the conditions hold."""
    return "holds" if all(met) else "holds in part" if any(met) else "does not hold at this scale"


def read_results(folder: Path, experiment: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers and the arrays of an experiment."""
    file = folder / experiment / "results.json"
    if not file.exists():
        raise FileNotFoundError(f"no results at {file}; run python experiments/{experiment}.py first")
    arrays = stored_results.read_arrays(folder / experiment / ARRAYS)
    return runs.read_json(file), {
        name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in arrays.items()
    }


def estimate(e: gt.Estimate) -> dict[str, Any]:
    """An estimate as JSON holds it, to six digits."""
    digits = np.vectorize(lambda v: float(f"{v:.6g}"))
    return {name: digits(getattr(e, name)).tolist() for name in ("value", "low", "high")}


def slope(fit: gt.SlopeFit) -> dict[str, Any]:
    """A fitted slope as JSON holds it."""
    return {"value": fit.slope, "low": fit.low, "high": fit.high, "window": list(fit.window), "points": fit.points}


def interval(e: Mapping[str, Any], digits: int = 2) -> str:
    """An estimate or a slope in words."""
    return f"{e['value']:.{digits}f} [{e['low']:.{digits}f}, {e['high']:.{digits}f}]"


def dry_run(scale: str, jobs: Sequence[Job]) -> str:
    """What the networks of a scale would take: parameters, operations, memory, and hours of one H100.

    Assumed: three forward passes for a step, 300 TFLOP/s in bfloat16 (a third of the peak), activations of a step kept in two
    bytes each, twice the width of every layer at its resolution.
    """
    from torch.utils.flop_counter import FlopCounterMode

    lines = [f"{'network':32} {'parameters':>11} {'images seen':>13} {'PFLOP':>9} {'GB':>6} {'H100 hours':>10}"]
    total = 0.0
    for job in jobs:
        f = job.network().eval()
        x = job.images.law.sample(1)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            f(x, 0.1)
        flops = 3 * counter.get_total_flops() * job.recipe.images_seen
        sizes = sum(job.channels * 2**b * x[0, 0].numel() / 4**b for b in range(job.blocks + 1))
        memory = 2 * 8 * sizes * job.recipe.batch_size + 16 * sum(p.numel() for p in f.parameters())
        hours = flops / 3e14 / 3600
        total += hours
        lines.append(
            f"{job.name:32} {sum(p.numel() for p in f.parameters()):>11,} {job.recipe.images_seen:>13,} "
            f"{flops / 1e15:>9.3g} {memory / 1e9:>6.2f} {hours:>10.3g}"
        )
    lines.append(f"{scale}: {len(jobs)} networks, {total:.3g} H100 hours")
    return "\n".join(lines)


def main(
    experiment: str,
    scales: Mapping[str, Any],
    jobs: Callable[[Any], list[Job]],
    measure: Callable[[Laboratory, Any], None],
    claims: Callable[[Mapping[str, Any]], list[Claim]],
) -> None:
    """Run an experiment from the command line."""
    parser = argparse.ArgumentParser(
        description=f"The experiment {experiment}; the head of its file says what it shows."
    )
    parser.add_argument("--scale", choices=list(scales), default="laptop", help="laptop: the committed results")
    parser.add_argument("--photographs", type=Path, help="a folder of images in place of the embedded photographs")
    parser.add_argument("--workers", type=int, help="processes; by default one for each core, or one for a GPU")
    parser.add_argument("--dry-run", action="store_true", help="print what the networks take, and stop")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "experiments", help="where the work is kept")
    given = parser.parse_args()
    settings = scales[given.scale]
    if given.photographs is not None:
        os.environ[PHOTOGRAPHS] = str(given.photographs.resolve())
    if given.dry_run:
        print(dry_run(given.scale, jobs(settings)))
        return
    folder = given.runs / given.scale
    committed = given.scale == "laptop"
    gpu = torch.cuda.is_available()
    lab = Laboratory(
        experiment,
        given.scale,
        folder,
        HERE / "checkpoints" if committed else folder / "checkpoints",
        HERE / "results" if committed else folder / "results",
        given.workers or (1 if gpu else os.cpu_count() or 1),
        "cuda" if gpu else "cpu",
    )
    measure(lab, settings)
    for claim in claims(lab.kept[0]):
        print(
            f"\n{claim.claim}\n  ours     {claim.ours}\n  paper    {claim.paper}\n  verdict  {claim.verdict}: "
            f"{claim.why}"
        )
