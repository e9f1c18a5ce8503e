"""Exact denoisers: against sums written out, and what theory says of every posterior mean.

score      f(y) = y + sigma^2 grad log p_sigma(y)            (Miyasawa 1961)
Jacobian   J = Cov[x | y] / sigma^2, symmetric, without negative eigenvalues
risk       E ||f(y) - x||^2 = sigma^2 E tr J
SURE       E ||f(y) - x||^2 = E 2 sigma^2 tr J + ||y - f(y)||^2 - sigma^2 d       (Stein 1981)
"""

import math

import pytest
import torch

import gahb_theory as gt

SHAPE = (1, 2, 3)
D = 6


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def finite_set(n=7):
    return normal(n, *SHAPE, seed=1) / 2


def covariances(k=3):
    roots = normal(k, D, D, seed=2) / 3
    return roots @ roots.mT


def orthonormal(k, r, seed=3):
    return torch.linalg.qr(normal(k, D, r, seed=seed)).Q.mT.contiguous()


def spectrum():
    s = normal(*SHAPE, seed=4).square()
    return (s + s.flip((1, 2)).roll((1, 1), (1, 2))) / 2


def cases():
    return {
        "finite set": gt.EmpiricalBayes(finite_set()),
        "weighted set in chunks": gt.EmpiricalBayes(finite_set(40), torch.arange(1.0, 41).double(), budget=2**10),
        "mixture": gt.mixture_of_gaussians(normal(3, *SHAPE), covariances(), torch.tensor([0.2, 0.5, 0.3]).double()),
        "subspaces": gt.union_of_subspaces(normal(4, 2, *SHAPE), 0.7),
        "affine spaces": gt.GaussianMixture(normal(2, *SHAPE), orthonormal(2, 3), normal(2, 3).square()),
        "stationary": gt.StationaryGaussianDenoiser(normal(1, *SHAPE), spectrum()),
        "rays": gt.EmpiricalRays(finite_set()),
        "rays in chunks": gt.EmpiricalRays(finite_set(40), budget=2**10),
    }


def test_closed_jacobian_of_what_is_linear():
    y = normal(1, *SHAPE, seed=8)
    scene_tangent = orthonormal(1, 2)
    for f in (gt.GaussianDenoiser(normal(1, *SHAPE), covariances(1)[0]), gt.TangentDenoiser(y + 1, scene_tangent)):
        torch.testing.assert_close(f.jacobian_matrix(y, 0.3), gt.jacobian(f, y, 0.3).matrix(), rtol=1e-9, atol=1e-11)
    with pytest.raises(ValueError, match="J is that of one clean image"):
        gt.TangentDenoiser(normal(2, *SHAPE), orthonormal(2, 2)).jacobian_matrix(y, 0.3)


@pytest.fixture(params=list(cases()))
def f(request):
    return cases()[request.param]


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_score_is_the_gradient_of_the_log_density(f, sigma):
    y = normal(5, *SHAPE, seed=9).requires_grad_(True)
    (score,) = torch.autograd.grad(f.log_density(y, sigma).sum(), y)
    torch.testing.assert_close(f(y, sigma), y + sigma**2 * score, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_closed_jacobian_is_that_of_autograd_and_a_covariance(f, sigma):
    y = normal(1, *SHAPE, seed=8)
    closed = f.jacobian_matrix(y, sigma)
    torch.testing.assert_close(closed, gt.jacobian(f, y, sigma).matrix(), rtol=1e-8, atol=1e-9)
    assert float((closed - closed.mT).abs().max()) < 1e-10
    assert float(torch.linalg.eigvalsh(closed).min()) > -1e-10


def test_each_image_has_its_own_sigma(f):
    y, sigmas = normal(3, *SHAPE, seed=7), torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    together = f(y, sigmas)
    for i, sigma in enumerate(sigmas.tolist()):
        torch.testing.assert_close(together[i : i + 1], f(y[i : i + 1], sigma), rtol=1e-9, atol=1e-11)


def test_conformance(f):
    gt.testing.check_denoiser(f, SHAPE, torch.float64)


def draw(name, n):
    """Images of the distribution of a case."""
    f, g = cases()[name], torch.Generator().manual_seed(5)
    if name == "finite set":
        return f.images[torch.randint(0, len(f.images), (n,), generator=g)]
    which = torch.multinomial(f.log_prior.exp(), n, replacement=True, generator=g)
    c = f.variances[which].sqrt() * torch.randn(n, f.atoms.shape[1], generator=g, dtype=torch.float64)
    return f.means[which] + torch.einsum("nr,nrd->nd", c, f.atoms[which]).reshape(n, *SHAPE)


@pytest.mark.parametrize("name", ["finite set", "mixture", "subspaces"])
@pytest.mark.parametrize("sigma", [0.4, 0.8])
def test_risk_is_sigma_squared_times_the_mean_trace_and_sure(name, sigma):
    """Within 4 standard errors of paired differences over 400 images."""
    f, n = cases()[name], 400
    x = draw(name, n)
    y = x + sigma * normal(n, *SHAPE, seed=6)
    x_hat = f(y, sigma)
    error = (x_hat - x).square().sum((1, 2, 3))
    trace = torch.stack([f.jacobian_matrix(y[i : i + 1], sigma).trace() for i in range(n)])
    sure = 2 * sigma**2 * trace + (y - x_hat).square().sum((1, 2, 3)) - sigma**2 * D
    for estimate in (sigma**2 * trace, sure):
        difference = estimate - error
        standard_error = float(difference.std() / n**0.5)
        assert abs(float(difference.mean())) < 4 * standard_error
        assert standard_error < 0.2 * float(error.mean())  # a factor of 2 would be seen


# ---------------------------------------------------------------- finite sets


@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_empirical_bayes_is_the_weighted_mean(sigma):
    images, y = finite_set(), normal(4, *SHAPE, seed=3)
    distances = (y[:, None] - images).square().sum((2, 3, 4))
    w = torch.softmax(-distances / (2 * sigma**2), dim=1)
    f = gt.EmpiricalBayes(images)
    torch.testing.assert_close(f(y, sigma), torch.einsum("ni,ichw->nchw", w, images), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(f.weights(y[:1], sigma), w[0], rtol=1e-9, atol=1e-14)
    found = f.posterior(y, sigma)
    torch.testing.assert_close(found.entropy, torch.special.entr(w).sum(1), rtol=1e-8, atol=1e-10)


def test_chunks_do_not_matter():
    images, y = normal(300, 1, 8, 8), normal(5, 1, 8, 8, seed=1)
    whole, parts = gt.EmpiricalBayes(images), gt.EmpiricalBayes(images, budget=2**14)
    for sigma in (0.02, 1.0, 5.0):
        torch.testing.assert_close(whole(y, sigma), parts(y, sigma), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            whole.posterior(y, sigma).entropy, parts.posterior(y, sigma).entropy, rtol=1e-9, atol=1e-9
        )


def test_single_precision_keeps_the_weights():
    """At sigma = 0.01 the distances of float32 alone would be wrong by more than the exponents differ."""
    x = gt.CAlpha(size=32).sample(50)
    x = torch.cat([x, x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))])
    y = gt.add_noise(x[:8], 0.01)
    exact = gt.EmpiricalBayes(x.double())(y.double(), 0.01)
    assert float((gt.EmpiricalBayes(x)(y, 0.01) - exact).abs().max()) < 1e-6


def test_a_memoriser_returns_its_images_and_then_their_mean():
    x = finite_set()
    f = gt.EmpiricalBayes(x)
    torch.testing.assert_close(f(gt.add_noise(x, 1e-2), 1e-2), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(f(x, 10.0), x.mean(0, keepdim=True).expand_as(x), rtol=0, atol=0.05)
    assert float(f.posterior(x, 10.0).entropy.min()) == pytest.approx(math.log(7), abs=0.01)


def test_rays_are_the_integral_over_the_scale():
    """Brute force over 20,001 scales of every image."""
    x, y, sigma = finite_set(3), normal(2, *SHAPE, seed=4), 0.5
    u = x / x.flatten(1).norm(dim=1)[:, None, None, None]
    r = torch.linspace(0, 20, 20_001, dtype=torch.float64)
    inner = torch.einsum("nchw,ichw->ni", y, u)
    log_p = (inner[:, :, None] * r - r.square() / 2) / sigma**2
    w = (log_p - log_p.amax((1, 2), keepdim=True)).exp()
    w[:, :, [0, -1]] /= 2  # the trapezoid rule
    m = torch.einsum("nir,r->ni", w, r) / w.sum((1, 2))[:, None]
    torch.testing.assert_close(gt.EmpiricalRays(x)(y, sigma), torch.einsum("ni,ichw->nchw", m, u), rtol=1e-6, atol=1e-7)


def test_rays_are_homogeneous_and_cost_one_dimension():
    f, y = gt.EmpiricalRays(finite_set()), normal(3, *SHAPE, seed=5)
    torch.testing.assert_close(f(3 * y, 0.6), 3 * f(y, 0.2), rtol=1e-9, atol=1e-10)
    x = finite_set(1).expand(4000, -1, -1, -1) * 10
    error = (gt.EmpiricalRays(x[:1])(x + 0.1 * normal(4000, *SHAPE, seed=2), 0.1) - x).square().sum((1, 2, 3))
    assert float(error.mean()) == pytest.approx(0.01, abs=4 * float(error.std()) / 4000**0.5)


# ---------------------------------------------------------------- distributions with known limits


def test_one_component_is_the_gaussian_denoiser():
    mean, covariance, y = normal(1, *SHAPE), covariances(1), normal(3, *SHAPE, seed=5)
    f, g = gt.mixture_of_gaussians(mean, covariance), gt.GaussianDenoiser(mean, covariance[0])
    torch.testing.assert_close(f(y, 0.3), g(y, 0.3), rtol=1e-9, atol=1e-10)


def test_points_are_the_finite_set():
    x, y = finite_set(), normal(3, *SHAPE, seed=5)
    f = gt.GaussianMixture(x, orthonormal(7, 2), torch.zeros(7, 2, dtype=torch.float64))
    torch.testing.assert_close(f(y, 0.4), gt.EmpiricalBayes(x)(y, 0.4), rtol=1e-9, atol=1e-10)


def test_eigenvalues_exceed_one_between_two_modes():
    f = gt.mixture_of_gaussians(
        torch.tensor([[-1.0], [1.0]]).double().reshape(2, 1, 1, 1), 1e-4 * torch.ones(2, 1, 1).double()
    )
    assert float(f.jacobian_matrix(torch.zeros(1, 1, 1, 1).double(), 0.5)) == pytest.approx(4.0, rel=1e-3)


def test_wide_subspaces_project_on_the_nearest():
    bases = orthonormal(3, 2).reshape(3, 2, *SHAPE)
    f, sigma = gt.union_of_subspaces(bases, 1e8), 0.01
    x = torch.einsum("r,rchw->chw", torch.tensor([3.0, -2.0]).double(), bases[1])[None].expand(3000, -1, -1, -1)
    y = x + sigma * normal(3000, *SHAPE, seed=1)
    atoms = bases[1].flatten(1)
    projected = (y.flatten(1) @ atoms.mT @ atoms).reshape(y.shape)
    torch.testing.assert_close(f(y, sigma), projected, rtol=0, atol=1e-9)
    error = (f(y, sigma) - x).square().sum((1, 2, 3))
    assert float(error.mean()) == pytest.approx(2 * sigma**2, rel=0.1)


def test_stationary_law_is_the_dense_one():
    mean, y = normal(1, *SHAPE), normal(3, *SHAPE, seed=5)
    f = gt.StationaryGaussianDenoiser(mean, spectrum())
    covariance = torch.fft.ifft2(spectrum()[0] * torch.fft.fft2(torch.eye(D).double().reshape(D, 2, 3))).real.reshape(
        D, D
    )
    g = gt.GaussianDenoiser(mean, (covariance + covariance.mT) / 2)
    torch.testing.assert_close(f(y, 0.3), g(y, 0.3), rtol=1e-9, atol=1e-10)
    assert float(f.mse(0.3)) == pytest.approx(float(g.mse(0.3)), rel=1e-10)


def test_stationary_law_is_fitted():
    x = gt.CAlpha(size=16).sample(200).double()
    f = gt.StationaryGaussianDenoiser.fit(x)
    assert float(f.spectrum.sum()) == pytest.approx(float((x - f.mean).square().sum((1, 2, 3)).mean()), rel=1e-10)
    y = gt.add_noise(x, 0.2)
    assert float(gt.mse(x, f(y, 0.2)).mean()) < 0.5 * float(gt.mse(x, y).mean())


def test_tangent_projection():
    scene = gt.Disks(size=16).scene(3, dtype=torch.float64)
    f = gt.TangentDenoiser(scene.images, scene.tangent)
    y = scene.images + 0.1 * normal(3, 1, 16, 16)
    torch.testing.assert_close(f(f(y, 0.1), 0.1), f(y, 0.1), rtol=0, atol=1e-12)
    torch.testing.assert_close(f(scene.images, 0.1), scene.images, rtol=0, atol=1e-12)
    one = gt.TangentDenoiser(scene.images[:1], scene.tangent[:1])
    J = gt.jacobian(one, y[:1], 0.1).matrix()
    torch.testing.assert_close(J, scene.tangent[0].mT @ scene.tangent[0], rtol=0, atol=1e-12)
    noise = scene.images[:1] + 0.1 * normal(2000, 1, 16, 16, seed=1)
    error = (one(noise, 0.1) - scene.images[:1]).square().sum((1, 2, 3))
    assert float(error.mean()) == pytest.approx(one.mse(0.1), rel=0.06)  # 4 standard errors of a chi-square with 5


def test_refusals(unchecked):
    x = finite_set()
    with pytest.raises(ValueError, match="weights must be 7 positive numbers"):
        gt.EmpiricalBayes(x, torch.zeros(7))
    for f in (gt.EmpiricalBayes(x), gt.EmpiricalRays(x), cases()["mixture"], cases()["stationary"]):
        with pytest.raises(ValueError, match=r"knows.*\(1, 2, 3\), got.*\(1, 3, 2\)"):
            f(normal(1, 1, 3, 2), 0.1)
    with pytest.raises(ValueError, match="images must not be 0, got 1"):
        gt.EmpiricalRays(x * (torch.arange(7) > 0)[:, None, None, None])
    with pytest.raises(ValueError, match="must be orthonormal"):
        gt.GaussianMixture(x[:1], 2 * orthonormal(1, 2), torch.ones(1, 2).double())
    with pytest.raises(ValueError, match="must not be below 0"):
        gt.GaussianMixture(x[:1], orthonormal(1, 2), -torch.ones(1, 2).double())
    with pytest.raises(ValueError, match="atoms must have shape"):
        gt.GaussianMixture(x[:2], orthonormal(1, 2), torch.ones(1, 2).double())
    with pytest.raises(ValueError, match="no negative eigenvalues"):
        gt.mixture_of_gaussians(x[:1], -torch.eye(D).double()[None])
    with pytest.raises(ValueError, match="linearly independent"):
        gt.union_of_subspaces(x[:1, None].expand(1, 2, *SHAPE), 1.0)
    with pytest.raises(ValueError, match="spectrum must be even"):
        gt.StationaryGaussianDenoiser(x[:1], normal(*SHAPE).square())
    with pytest.raises(ValueError, match="tangent must have shape"):
        gt.TangentDenoiser(x, orthonormal(2, 2))


def test_mixtures_in_chunks(monkeypatch):
    f, y = cases()["mixture"], normal(5, *SHAPE, seed=1)
    sigmas = torch.linspace(0.1, 1, 5, dtype=torch.float64)
    whole = f(y, sigmas), f(y, 0.3)
    monkeypatch.setattr("gahb_theory.denoisers.exact.mixtures.BUDGET", 1)
    torch.testing.assert_close((f(y, sigmas), f(y, 0.3)), whole)


@pytest.mark.gpu
def test_accelerator(accelerator):
    x, y = finite_set(40).float(), normal(3, *SHAPE, seed=5).float()
    for make in (gt.EmpiricalBayes, gt.EmpiricalRays, lambda x: gt.EquivariantPatchBayes(x, 1)):
        there = make(x.to(accelerator))(y.to(accelerator), 0.3)
        torch.testing.assert_close(there.cpu(), make(x)(y, 0.3), rtol=1e-3, atol=1e-4)


def test_small_and_large_noise_levels_have_their_limits(unchecked):
    """No square of sigma vanishes or overflows: the nearest image at small noise, the mean at large."""
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    y = x[1:2] + 0.01
    image_class = gt.GaussianDenoiser(x.mean(0, keepdim=True), torch.cov(x.flatten(1).mT))
    stationary = gt.StationaryGaussianDenoiser.fit(x)
    for sigma in (1e-45, 1e-20):
        assert torch.equal(gt.EmpiricalBayes(x)(y, sigma), x[1:2])
        torch.testing.assert_close(stationary(y, sigma), y)
    for f in (gt.EmpiricalBayes(x), image_class, stationary):
        torch.testing.assert_close(f(torch.full_like(y, 1e36), 1e36).mean(), x.mean(), rtol=1e-4, atol=0)
    assert float(image_class.mse(1e20)) == pytest.approx(float(image_class.variances.sum()), rel=1e-6)
    assert float(image_class.mse(1e-10)) == pytest.approx(4e-20, rel=1e-3)  # the rank of five images less their mean
    assert float(image_class.mse(0.0)) == 0.0
    projected = image_class(image_class(y, 0.0), 0.0)
    torch.testing.assert_close(projected, image_class(y, 0.0))
    for f in (gt.EmpiricalBayes(x), gt.EmpiricalRays(x), gt.mixture_of_gaussians(x[:1], torch.eye(16)[None])):
        with pytest.raises(ValueError, match="must be finite and above 0, got 0"):
            f(y, 0.0)
        with pytest.raises(ValueError, match=r"sigma must lie in \[1e-140, 1e\+140\] for this denoiser"):
            f(y.double(), 1e-200)


def test_half_precision_is_summed_in_more():
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    y = (x[:2] + 0.1).half()
    image_class = gt.GaussianDenoiser(x.mean(0, keepdim=True), torch.cov(x.flatten(1).mT))
    for f in (
        image_class,
        gt.StationaryGaussianDenoiser.fit(x),
        gt.EmpiricalBayes(x),
        gt.union_of_subspaces(x[:, None], 4.0),
    ):
        assert f(y, 0.25).dtype == torch.half
        torch.testing.assert_close(f(y, 0.25).float(), f(y.float(), 0.25), rtol=1e-3, atol=1e-3)


def test_log_density_at_small_noise_keeps_its_digits():
    """At a distance of sigma from one of two far images only that one counts."""
    x = torch.tensor([1.0, 3.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    sigma = 2.0**-40
    found = gt.EmpiricalBayes(x).log_density(x[1:] + sigma, sigma)
    expected = -0.5 - math.log(2) - math.log(2 * math.pi) / 2 - math.log(sigma)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_rays_that_point_away_do_not_overflow():
    """Seen from behind, r is nearly exponential with mean sigma^2 / |mu|."""
    f = gt.EmpiricalRays(torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2))
    y = torch.tensor([[[[-1.0, 0.0]]]], dtype=torch.float64)
    assert float(f(y, 1e-3)[0, 0, 0, 0]) == pytest.approx(1e-6, rel=1e-5)
    assert float(f(y, 1e-10)[0, 0, 0, 0]) == pytest.approx(0.0, abs=1e-15)
    J = f.jacobian_matrix(-y, 1e-10)
    torch.testing.assert_close(J, torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)))


def test_laws_are_checked(unchecked):
    means, eye = torch.zeros(2, 1, 1, 2), torch.eye(2).expand(2, 2, 2).clone()
    skew = eye.clone()
    skew[0, 0, 1] = 0.5
    with pytest.raises(ValueError, match="covariances must be symmetric"):
        gt.mixture_of_gaussians(means, skew)
    with pytest.raises(ValueError, match="covariances must be finite"):
        gt.mixture_of_gaussians(means, eye * torch.nan)
    with pytest.raises(TypeError, match=r"covariances must be a floating-point torch tensor, got torch\.bool"):
        gt.mixture_of_gaussians(means, eye > 0)
    for bad, message in (
        ([1.0, 0.0], "weights must be 2 positive numbers"),
        ([1.0, math.nan], "weights must be finite"),
        ([True, True], "weights must hold real numbers"),
        ([1.0], r"weights must be 2 positive numbers, got shape \(1,\)"),
    ):
        for make in (lambda w: gt.mixture_of_gaussians(means, eye, w), lambda w: gt.EmpiricalBayes(means, w)):
            with pytest.raises((ValueError, TypeError), match=message):
                make(bad)
    f = gt.EmpiricalBayes(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), [1, 3])
    assert float(f(torch.full((1, 1, 1, 1), 0.5), 1.0)) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="3 images of 2 pixels cannot be linearly independent"):
        gt.union_of_subspaces(torch.ones(1, 3, 1, 1, 2), 1.0)
    with pytest.raises(TypeError, match="spectrum must be a floating-point torch tensor"):
        gt.StationaryGaussianDenoiser(means[:1], torch.ones(1, 1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="tangent must be finite"):
        gt.denoisers.TangentDenoiser(means[:1], torch.full((1, 1, 2), torch.nan))
