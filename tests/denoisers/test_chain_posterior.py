"""Chains over contours and parameters: they leave the posterior invariant, are calibrated, and agree with other methods."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers.exact.bounded_normal import bounded_moments
from gahb_theory.denoisers.exact.chain_posterior import CAlphaBayes, ManifoldBayes
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.denoisers.exact.contour_target import ContourTarget
from gahb_theory.denoisers.exact.disk_posterior import DiskBayes
from gahb_theory.denoisers.exact.given_regions import Dense, LowRank, Moments
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes
from gahb_theory.denoisers.exact.parameter_target import in_convex_order, parameter_target
from gahb_theory.denoisers.exact.posterior_chain import Kernel, Search, begin, block, search
from gahb_theory.images import Polygons, Ray, SineCone

CONTOURS = [
    gt.CAlpha(alpha=2.0, size=8),
    gt.CAlpha(alpha=1.0, size=8, contours=2),
    gt.CAlpha(alpha=2.0, size=8, contours=2, contour="closed"),
    gt.CAlpha(alpha=2.0, size=8, contours=3, beta=1.0),
]


def problem(X, sigma, n, seed=0):
    x = X.sample(n, seed=seed, dtype=torch.float64)
    y = gt.add_noise(x, sigma, seed=seed).flatten(1)
    make = ContourTarget if isinstance(X, gt.CAlpha) else parameter_target
    target = make(X, y, sigma)
    return x, y, target, target.truth(n, seed)


@pytest.mark.parametrize("X", CONTOURS, ids=str)
def test_the_truth_is_that_of_the_scene(X) -> None:
    _, _, target, z = problem(X, 0.2, 6)
    torch.testing.assert_close(target.weights(z), X.scene(6, dtype=torch.float64).weights.flatten(2), atol=1e-7, rtol=0)


@pytest.mark.parametrize("X", [gt.Disks(size=16), gt.Ellipses(size=16), Polygons(size=16, corners=4)], ids=str)
def test_the_true_parameters_paint_the_image(X) -> None:
    x, _, target, z = problem(X, 0.2, 6)
    torch.testing.assert_close(target.exact(z, torch.arange(6)).mean, x.flatten(1))


@pytest.mark.parametrize("X", CONTOURS, ids=str)
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_the_mean_squared_error_given_the_regions_is_the_trace(X, sigma) -> None:
    n = 400
    x, _, target, z = problem(X, sigma, n, seed=3)
    found = target.exact(z, torch.arange(n))
    error = (found.mean - x.flatten(1)).square().sum(dim=1)
    trace = target.trace(z, torch.arange(n))
    difference = (error - trace).numpy()
    assert abs(difference.mean()) < 4 * difference.std() / n**0.5
    assert float(trace.std() / trace.mean()) < 0.5


def test_low_rank_and_dense_agree_with_the_normal_density() -> None:
    X, sigma, n = gt.CAlpha(alpha=3.0, size=16), 0.3, 5
    _, y, target, z = problem(X, sigma, n)
    assert isinstance(target.fine, LowRank) and isinstance(target.full, Dense)
    w, nodes = target.weights(z), target.nodes(z)
    low, full = target.exact(z, torch.arange(n)), target.full.moments(w, nodes, target.y)
    torch.testing.assert_close(low.mean - 0.5, full.mean, atol=2e-3, rtol=0)
    trace = target.full.trace(w, nodes, target.y)
    torch.testing.assert_close(target.trace(z, torch.arange(n)), trace, rtol=1e-3, atol=0)
    covariance = sum(w[0, r, :, None] * target.full.field * w[0, r] for r in range(2)) + sigma**2 * torch.eye(256)
    values = []
    for mean, weight in zip(nodes.means[0], nodes.log_weights, strict=True):
        normal = torch.distributions.MultivariateNormal(0.5 + mean @ w[0], covariance)
        values.append(weight + normal.log_prob(y[0]))
    expected = torch.logsumexp(torch.stack(values), 0) + 128 * np.log(2 * np.pi)
    assert float(full.log_evidence[0] - expected) == pytest.approx(0, abs=1e-6)  # of the quadrature, about 1e-7
    torch.testing.assert_close(target.covariance(z[:2], torch.arange(2)).diagonal(dim1=1, dim2=2).sum(1), trace[:2])


def test_nothing_separates_ellipses_on_both_sides_of_angle_zero() -> None:
    _, _, target, z = problem(gt.Ellipses(size=16), 0.2, 400)
    near = z.clone()
    near[:, 2], near[:, 8] = 1.0, 1e-9
    beyond = near.clone()
    beyond[:, 8] = -1e-9
    index = torch.arange(len(z))
    torch.testing.assert_close(target.exact(near, index).mean, target.exact(beyond, index).mean, atol=1e-7, rtol=0)
    turned = near.clone()
    turned[:, 2] = -1.0
    assert float((target.exact(turned, index).mean - target.exact(near, index).mean).abs().amax()) > 0.1
    assert abs(float(z[:, [2, 8]].square().sum(dim=1).mean()) - 2) < 0.4  # of two standard normal numbers


@pytest.mark.parametrize(
    ("X", "sigma"),
    [(gt.CAlpha(alpha=2.0, size=8), 0.3), (gt.Ellipses(size=16), 0.4), (Polygons(size=16, corners=3), 0.4)],
    ids=str,
)
def test_a_block_leaves_the_joint_distribution_invariant(X, sigma) -> None:
    """Geweke 2004: numbers drawn with the images and then moved are distributed as before; without the likelihood, not."""
    from scipy.stats import ks_2samp, kstest

    n = 400
    _, _, target, z = problem(X, sigma, n, seed=5)
    d = target.dimension
    kernel = Kernel(torch.eye(d).double().expand(n, d, d), torch.full((n, d), 0.6).double(), torch.ones(n).double())
    states = begin(target, z[:, None])
    before = states.exact[:, 0].numpy()
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        states, _ = block(target, states, kernel, generator, steps=10)
    moved = states.z[:, 0]
    assert float((moved - z).abs().amax(dim=1).gt(0).double().mean()) > 0.9
    if not isinstance(X, Polygons):
        assert min(kstest(moved[:, k].numpy(), "norm").pvalue for k in range(d)) > 0.001
    assert ks_2samp(states.exact[:, 0].numpy(), before).pvalue > 0.001
    fresh = torch.randn(n, d, generator=generator, dtype=torch.float64)
    assert ks_2samp(target.exact(fresh, torch.arange(n)).log_evidence.numpy(), before).pvalue < 1e-6


@pytest.mark.parametrize("X", [gt.CAlpha(alpha=2.0, size=8), gt.Disks(size=16)], ids=str)
def test_chains_that_began_without_the_truth_are_calibrated(X) -> None:
    """The rank of the true number among posterior states is uniform (Cook, Gelman, Rubin 2006; Talts et al. 2018)."""
    from scipy.stats import kstest

    n, sigma = 64, 0.3
    _, _, target, z = problem(X, sigma, n, seed=11)
    kernel, blind = search(target, n, Search(chains=2, draws=60, rounds=8, steps=40))
    states, found = begin(target, blind), []
    generator = torch.Generator().manual_seed(2)
    for _ in range(24):
        states, _ = block(target, states, kernel, generator)
        found.append(states.z)
    drawn = torch.stack(found[4:]).permute(1, 0, 2, 3).flatten(1, 2)
    ranks = (drawn < z[:, None]).double().mean(dim=1).numpy()
    assert min(kstest(ranks[:, k], "uniform").pvalue for k in range(3)) > 0.001
    assert ranks.std() > 0.2


def test_the_result_does_not_depend_on_the_size_of_the_steps() -> None:
    from gahb_theory.theory.optimum.chain_enclosure import advance, bounds, start

    n = 12
    _, _, target, z = problem(gt.CAlpha(alpha=2.0, size=8), 0.4, n)
    first = start(target, z, Search(chains=2, draws=30, rounds=8, steps=30), seed=0)
    means = []
    for factor in (0.4, 2.5):
        kernel = Kernel(first.kernel.basis, first.kernel.scale, first.kernel.step * factor)
        lower, upper, *_ = bounds(advance(target, _with(first, kernel), 1000, seed=1))
        means += [lower, upper]
    for other in means[1:]:
        difference = (other - means[0]).numpy()
        assert abs(difference.mean()) < 4 * difference.std() / n**0.5
        assert abs(float(other.mean() / means[0].mean()) - 1) < 0.1


def test_chains_of_former_versions_go_on() -> None:
    """Which did not jump, and kept the traces of all chains and of all states."""
    from dataclasses import replace

    from gahb_theory.theory.optimum.chain_enclosure import advance, bounds, from_stored, start, to_stored

    _, _, target, z = problem(gt.CAlpha(alpha=2.0, size=8), 0.4, 2)
    jumping = start(target, z, Search(chains=2, draws=4, rounds=4, steps=10), seed=0)
    for first in (jumping, _with(jumping, replace(jumping.kernel, places=None))):
        stored = to_stored(first)
        stored["traces"] = np.concatenate([stored["traces"]] * 2, axis=2)
        again = from_stored(stored | {"states/trace": np.zeros((2, 4))})
        assert (again.kernel.places is None) == (first.kernel.places is None)
        ends = [bounds(advance(target, progress, 100, seed=1)) for progress in (first, again)]
        assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


class TwoModes:
    """Two narrow modes of the first of three numbers, at 1 and -.5; (.7 e^-.125) / (.7 e^-.125 + e^-.5) is in the second."""

    dimension = 3

    def scales(self):
        return torch.full((3,), 0.3, dtype=torch.float64)

    def surrogate(self, z, index):
        log = [-(((z[:, 0] - at) / 0.05) ** 2) / 2 + shift for at, shift in ((1.0, 0.0), (-0.5, np.log(0.7)))]
        return torch.stack(log).logsumexp(dim=0)

    def exact(self, z, index):
        return Moments(self.surrogate(z, index), z)

    def trace(self, z, index):
        return torch.zeros(len(z), dtype=z.dtype)


def test_chains_are_in_each_mode_as_often_as_it_deserves() -> None:
    """All begin in the first, which they would never leave by small steps."""
    n, target = 64, TwoModes()
    kernel, _ = search(target, n, Search(chains=4, draws=2, rounds=8, steps=40))
    assert kernel.places.shape == (n, 16, 3)
    met = (kernel.places @ kernel.basis.mT)[..., 0] > 0.25
    both = met.any(dim=1) & ~met.all(dim=1)  # images at which the search has met both
    assert int(both.sum()) > 32
    states = begin(target, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(n, 4, 3))
    generator, found = torch.Generator().manual_seed(1), []
    for _ in range(60):
        states, _ = block(target, states, kernel, generator)
        found.append(states.z[both, :, 0])
    drawn = torch.stack(found[10:])
    second = float((drawn < 0.25).double().mean())
    # the density of the prior at the middle of a mode, moved by .05^2
    assert second == pytest.approx(0.7 * np.exp(-0.125) / (0.7 * np.exp(-0.125) + np.exp(-0.5)), abs=0.04)
    assert float(drawn[drawn > 0.25].std()) == pytest.approx(0.05, rel=0.1)


def _with(progress, kernel):
    from dataclasses import replace

    return replace(progress, kernel=kernel)


def test_disks_agree_with_importance_sampling() -> None:
    X, sigma = gt.Disks(size=16), 0.3
    y = gt.add_noise(X.sample(1, seed=2, dtype=torch.float64), sigma, seed=2)
    other = DiskBayes(X, samples=8192)
    f = ManifoldBayes(X, steps=2000)
    for row in y:
        found = f.posterior(row[None], sigma)
        mean = other(row[None], sigma).flatten()
        assert float((found.mean - mean).norm() / found.variance.sqrt()) < 0.15
        assert float(found.variance) == pytest.approx(
            float(other.jacobian_matrix(row[None], sigma).trace()) * sigma**2, rel=0.15
        )
        assert found.between_chains < 0.2  # 20 states of each chain count: 0.05 if they were independent


def test_the_denoiser_of_contours_has_samples_and_a_jacobian() -> None:
    X, sigma = gt.CAlpha(alpha=2.0, size=8), 0.3
    y = gt.add_noise(X.sample(1, seed=4, dtype=torch.float64), sigma, seed=4)
    f = CAlphaBayes(X, steps=200, chains=4)
    found, J = f.posterior(y, sigma), f.jacobian_matrix(y, sigma)
    torch.testing.assert_close(f(y, sigma).flatten(), found.mean)
    torch.testing.assert_close(J.trace() * sigma**2, found.variance, rtol=1e-3, atol=0)
    torch.testing.assert_close(J, J.mT)
    assert torch.linalg.eigvalsh(J).min() > 0
    x = f.samples(y, sigma, 300).flatten(1)
    spread = (x - found.mean).square().sum(dim=1).mean()
    assert float(spread / found.variance) == pytest.approx(1, abs=0.2)
    with pytest.raises(ValueError, match="paper"):
        CAlphaBayes(gt.CAlpha(size=8, convention="paper"))
    with pytest.raises(TypeError, match="CAlpha"):
        CAlphaBayes(gt.Disks(size=16))


def test_the_eigenbasis_is_that_of_the_derivative_of_an_exact_posterior_mean() -> None:
    """The mean by importance sampling from the prior, another method, is moved along eigenvectors: J e = lambda e."""
    X, sigma, step = gt.CAlpha(alpha=2.0, size=8), 0.6, 1e-3
    y = gt.add_noise(X.sample(1, seed=4, dtype=torch.float64), sigma, seed=4)
    E = CAlphaBayes(X, steps=800, chains=4).eigenbasis(y, sigma, k=2)
    assert E.atoms.shape == (2, 64)
    assert bool(E.converged.all())
    torch.testing.assert_close(E.atoms @ E.atoms.mT, torch.eye(2, dtype=torch.float64))
    moved = torch.cat([y.flatten(1) + sign * step * E.atoms for sign in (1, -1)])
    target = ContourTarget(X, moved, sigma)
    z = torch.randn(1000, target.dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    means = []
    for i in range(4):
        found = target.exact(z, torch.full((1000,), i))
        w = torch.softmax(found.log_evidence, dim=0)
        assert 1 / w.square().sum() > 50
        means.append(w @ found.mean)
    slopes = (torch.stack(means[:2]) - torch.stack(means[2:])) / (2 * step)
    error = (slopes - E.eigenvalues[:, None] * E.atoms).norm(dim=1)
    assert bool((error < 0.15 * E.eigenvalues[0]).all()), (error, E.eigenvalues)
    assert 0.5 < float(E.eigenvalues[0]) < 1.1


@pytest.mark.parametrize(
    "f",
    [
        HolderBallBayes(gt.HolderBall(alpha=1.0, size=16)),
        ConeBayes(SineCone(size=8)),
        ConeBayes(Ray(torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)))),
    ],
)
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_exact_posteriors_have_their_error_and_their_derivative(f, sigma) -> None:
    n = 40
    x = f.images.sample(n, seed=1).double()
    y = gt.add_noise(x, sigma, seed=7)
    difference = ((f(y, sigma) - x).square().sum(dim=(1, 2, 3)) - f.variance(y, sigma)).numpy()
    assert abs(difference.mean()) < 4 * difference.std() / n**0.5
    J, one = f.jacobian_matrix(y[:1], sigma), y[:1]
    E = f.eigenbasis(one, sigma, k=2)
    torch.testing.assert_close(J @ E.atoms.mT, E.atoms.mT * E.eigenvalues, atol=1e-6, rtol=1e-5)
    assert float(J.trace() * sigma**2) == pytest.approx(float(f.variance(one, sigma)[0]))
    direction = torch.linspace(-1, 1, one.numel(), dtype=torch.float64).reshape(one.shape)
    slope = (f(one + 1e-5 * direction, sigma) - f(one - 1e-5 * direction, sigma)) / 2e-5
    torch.testing.assert_close(J @ direction.flatten(), slope.flatten(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("t", "s"), [(0.3, 0.2), (2.0, 0.1), (-5.0, 1.0), (0.1, 50.0)])
def test_bounded_moments_are_those_of_a_truncated_normal(t, s) -> None:
    from scipy.stats import norm, truncnorm

    found = bounded_moments(torch.tensor([t]), s, -1.0, 1.0)
    a, b = (-1 - t) / s, (1 - t) / s
    if abs(t) / s < 10:
        expected = np.log((norm.cdf(b) - norm.cdf(a)) / 2)
        assert float(found.log_evidence) == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert float(found.mean) == pytest.approx(truncnorm.mean(a, b, t, s), rel=1e-5)
    assert float(found.variance) == pytest.approx(truncnorm.var(a, b, t, s), rel=1e-3)


def test_polygons_are_uniform_among_convex_ones() -> None:
    """The area of random corners in the unit square, given that they are convex, is that of the class's own corners."""
    X, n = Polygons(size=16, corners=3), 4000
    target = parameter_target(X, torch.zeros(n, 256, dtype=torch.float64), 1.0)
    own = torch.special.ndtr(target.truth(n, 3)[:, :6]).reshape(n, 3, 2)
    drawn = torch.rand(n, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert bool(in_convex_order(own).all())
    for corners in (own, drawn):
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs() / 2
        assert float(area.mean()) == pytest.approx(11 / 144, abs=0.004)  # Sylvester 1864
