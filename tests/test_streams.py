"""No two uses of random numbers share a stream: every consumer is drawn at equal seeds and compared with the others."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers.exact.disk_posterior import DiskBayes
from gahb_theory.denoisers.networks.initialisation import building
from gahb_theory.images import fields
from gahb_theory.images import published_c_alpha as paper_images
from gahb_theory.images.stream import image_stream
from gahb_theory.jacobians.difference_check import direction
from gahb_theory.jacobians.engines.autograd import probe_direction
from gahb_theory.jacobians.lanczos import _normal
from gahb_theory.metrics.intervals import draw_counts
from gahb_theory.randomness import (
    Component,
    add_noise,
    array_generator,
    named_seed,
    normals,
    step_generator,
    symmetric_uniforms,
    uniforms,
)
from gahb_theory.sampling.coarse_to_fine import sample_normals
from gahb_theory.shrinkage import stein_risk

COUNT = 400
TYPES = (torch.float32, torch.float64)


def plain(values):
    return np.asarray(values, dtype=np.float64).ravel()[:COUNT]


def captured_signs(seed, dtype):
    """The probes of `stein_risk`: the product of a linear shrinkage that depends on all coefficients keeps them."""
    seen = []

    class Watching:
        is_separable = False

        def __call__(self, c, sigma):
            if c.requires_grad:
                c.register_hook(lambda gradient: seen.append(gradient))
            return torch.ones_like(c)

    stein_risk(Watching(), torch.ones(1, COUNT, dtype=dtype), 0.1, probes=1, seed=seed)
    return seen[0]


def noise_of(seed, dtype):
    return add_noise(torch.zeros(1, 1, 20, 20, dtype=dtype), 1.0, seed=seed)


def generation(seed, dtype):
    noise = torch.empty(1, 1, 20, 20, dtype=dtype)
    sample_normals(noise, torch.tensor([0]), seed, 0)
    return noise


def training(seed, dtype):
    generator = step_generator("cpu", Component.TRAINING, seed, 0)
    torch.rand(4, generator=generator, dtype=dtype)
    return torch.randn(COUNT, generator=generator, dtype=dtype)


def order(seed, dtype):
    return image_stream(torch.linspace(0, 1, COUNT, dtype=dtype).reshape(-1, 1, 1, 1), seed=seed)(0, COUNT)


def weights(seed, dtype):
    with building(seed=seed) as generator:
        return torch.randn(COUNT, generator=generator, dtype=dtype)


def named(component, draw="randn"):
    def drawn(seed, dtype):
        if draw == "signs":
            return 2 * torch.randint(2, (COUNT,), generator=step_generator("cpu", component)) - 1
        return torch.randn(COUNT, generator=step_generator("cpu", component), dtype=dtype)

    return drawn


DISKS = {k: DiskBayes(gt.Disks(size=16), samples=256, seed=k) for k in (0, 1)}

CONSUMERS = {
    Component.PARAMETERS: lambda seed, dtype: uniforms(
        1, COUNT, seed=seed, component=Component.PARAMETERS, dtype=dtype
    ),
    Component.CONTOUR: lambda seed, dtype: fields.series_coefficients(1, 201, 1e-3, seed=seed, start=0, dtype=dtype),
    Component.FIELDS: lambda seed, dtype: normals(1, COUNT, seed=seed, component=Component.FIELDS, dtype=dtype),
    Component.NOISE: noise_of,
    Component.PERMUTATION: lambda seed, dtype: gt.Shuffled(gt.Disks(size=16), seed=seed).permutation(COUNT),
    Component.RANDOM_BASIS: lambda seed, dtype: gt.RandomBasis.draw((1, 20, 20), 1, seed=seed).atoms,
    Component.SHRINKAGE_PROBES: captured_signs,
    Component.TRAINING: training,
    Component.ORDER: order,
    Component.SAMPLING: generation,
    Component.TRACE_PROBES: lambda seed, dtype: gt.Hutchinson(2, seed=seed)._signs(0, COUNT, torch.device("cpu"))[0],
    Component.DIRECTION: lambda seed, dtype: probe_direction(torch.zeros(COUNT, dtype=dtype), seed),
    Component.KRYLOV: lambda seed, dtype: _normal(COUNT, seed),
    Component.BEHAVIOUR: named(Component.BEHAVIOUR, "signs"),
    Component.CHECKS: named(Component.CHECKS),
    Component.DISK_PRIOR: lambda seed, dtype: np.random.default_rng(named_seed(Component.DISK_PRIOR, seed)).random(
        COUNT
    ),
    Component.DISK_GEOMETRY: lambda seed, dtype: DISKS[seed].normal_draws,
    Component.DISK_INTENSITY: lambda seed, dtype: DISKS[seed].intensity_draws,
    Component.CURVATURE: named(Component.CURVATURE),
    Component.BOOTSTRAP: lambda seed, dtype: draw_counts(COUNT, 100, seed=seed)[0],
    Component.BOOTSTRAP_SCALES: lambda seed, dtype: array_generator(Component.BOOTSTRAP_SCALES, seed).random(COUNT),
    Component.AGREEMENT: lambda seed, dtype: direction(torch.zeros(1, 1, 20, 20, dtype=dtype)),
    Component.PROJECTIONS: named(Component.PROJECTIONS, "signs"),
    Component.CALIBRATION: named(Component.CALIBRATION),
    Component.WEIGHTS: weights,
    Component.POSTERIOR: named(Component.POSTERIOR),
    Component.PRIOR: named(Component.PRIOR),
    Component.DISPLACEMENTS: named(Component.DISPLACEMENTS),
    Component.MEASUREMENT: lambda seed, dtype: normals(
        1, COUNT, seed=seed, component=Component.MEASUREMENT, dtype=dtype
    ),
    Component.LIKELIHOOD: lambda seed, dtype: normals(1, COUNT, seed=seed, component=Component.LIKELIHOOD, dtype=dtype),
    Component.FINGERPRINT: lambda seed, dtype: array_generator(Component.FINGERPRINT, seed).random(COUNT),
}


def test_every_use_is_compared():
    assert set(CONSUMERS) == set(Component), "a new use of random numbers goes into the list of this test"


def test_generators_are_made_in_one_place():
    """No other module makes a generator, seeds one, or draws from a global one."""
    made = re.compile(
        r"Generator\(|manual_seed\(|default_rng\(|RandomState\(|Philox\(|PCG64\(|SeedSequence\(|\bimport random\b"
        r"|np\.random\.(?!Generator\b)\w+\("
    )
    package = Path(gt.__file__).parent
    for file in package.rglob("*.py"):
        if file.name == "randomness.py":
            continue
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith((">>>", "..."))]
        found = [line.strip() for line in lines if made.search(line)]
        assert not found, f"{file.relative_to(package)} makes a generator of its own: {found}"


def ranks(values):
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]  # ties share the mean of their ranks


def relation(a, b):
    """The largest correlation of two rows, of their signs and of their ranks, at lags up to 4, in standard errors."""
    worst = 0.0
    for lag in range(-4, 5):
        u, v = (a[lag:], b) if lag >= 0 else (a, b[-lag:])
        n = min(len(u), len(v))
        u, v = u[:n], v[:n]
        for f in (lambda x: x, lambda x: np.sign(x - np.median(x)), ranks, np.abs):
            p, q = f(u) - f(u).mean(), f(v) - f(v).mean()
            size = np.linalg.norm(p) * np.linalg.norm(q)
            worst = max(worst, abs(float(p @ q)) / size * n**0.5 if size > 0 else 0.0)
    return worst


@pytest.mark.parametrize("seed", [0, 1])
def test_no_two_uses_are_related(seed):
    """Of 325 pairs in two precisions, at 9 lags and 4 readings, the largest of 40,000 correlations: below 6 errors."""
    rows = {(c, dtype): plain(draw(seed, dtype)) for c, draw in CONSUMERS.items() for dtype in TYPES}
    assert all(len(row) >= 255 for row in rows.values())
    for (a, x), (b, y) in itertools.combinations(rows.items(), 2):
        if a[0] is not b[0]:
            assert relation(x, y) < 6, f"{a[0].name} and {b[0].name} are related"


def test_a_shared_stream_would_be_seen():
    z = plain(noise_of(0, torch.float64))
    for other in (z, -np.sign(z), np.roll(z, 3), np.exp(z), z + np.random.default_rng(1).normal(size=COUNT)):
        assert relation(z, other) > 6


def test_random_bases_know_nothing_of_the_noise():
    """In float64, seed 0, atom 0 was z / ||z||; the angle of a random direction in 64 dimensions is near 90 degrees."""
    z = add_noise(torch.zeros(1, 1, 8, 8, dtype=torch.float64), 1.0, seed=0).flatten()
    atoms = gt.RandomBasis.draw((1, 8, 8), seed=0).atoms.double()
    assert float((atoms @ z / z.norm()).abs().max()) < 0.5
    noisy = gt.DenseBasis((z / z.norm())[None].float(), (1, 8, 8))
    assert float(gt.compare(noisy, gt.DCT(), rank=1, seed=0).angles_of_chance.min()) > 60


def test_one_probe_of_stein_is_unbiased_on_the_noise_of_the_same_seed():
    """E SURE = k sigma^2 for the identity whatever the probes; with the noise's own signs it was off by its size."""

    class Squared:
        is_separable = False

        def __call__(self, c, sigma):
            return 1 + c.mean(dim=1, keepdim=True) * torch.sign(c)

    k, n = 64, 2000
    y = add_noise(torch.zeros(n, 1, 8, 8, dtype=torch.float64), 1.0, seed=0).flatten(1)
    one = stein_risk(Squared(), y, 1.0, probes=1, seed=0)
    many = stein_risk(Squared(), y, 1.0, probes=64, seed=1)
    difference = one - many
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / n**0.5
    assert abs(float(many.mean()) - float(((Squared()(y, 1.0) * y).square().sum(1)).mean())) < 0.2 * k


def test_probes_of_neighbouring_seeds_are_unlike():
    """The second probe of seed 0 was the first of seed 1."""
    first = [uniforms(1, COUNT, seed=s, component=Component.SHRINKAGE_PROBES, part=p) for s, p in ((0, 1), (1, 0))]
    assert relation(plain(first[0]), plain(first[1])) < 6


def test_images_of_the_published_generator_have_streams_of_their_own():
    """Its quick streams, for the same component and another number of words, are no others."""
    rows = [plain(symmetric_uniforms(1, COUNT, seed=0, component=c)) for c in (0, 1, 2)]
    rows += [plain(paper_images._field_pairs(1, 16, 0.0, 0, 0, torch.float32)), plain(noise_of(0, torch.float32))]
    for a, b in itertools.combinations(rows[:3] + rows[4:], 2):
        assert relation(a, b) < 6
