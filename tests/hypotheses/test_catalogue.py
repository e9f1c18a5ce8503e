"""Each claim of the catalogue: the models that must fail do, and a planted positive passes."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.hypotheses import FixedBasisOracle, Plan, Setting, catalogue
from gahb_theory.hypotheses.basis_measures import adaptivity
from gahb_theory.hypotheses.subjects import as_subject

X = gt.Disks(size=16)
PLAN = Plan(images=8, sigmas=(0.2,))
OTHERS = X.sample(300, seed=11)
TRAIN = X.sample(32, seed=12)


def blur(y, sigma):
    """A moving average: local, symmetric inside, homogeneous, the same for all images."""
    return torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)


def ray(clean):
    """Projection of a noisy image on the clean one and the constants: a basis that no fixed basis holds."""

    def project(y, sigma):
        x = clean[torch.cdist(y.detach().flatten(1), clean.flatten(1)).argmin(dim=1)].flatten(1)
        x = x - x.mean(1, keepdim=True)
        mean = y.mean((1, 2, 3), keepdim=True).expand_as(y)
        return mean + ((y.flatten(1) * x).sum(1, keepdim=True) / x.square().sum(1, keepdim=True) * x).reshape(y.shape)

    return project


def tangent_projection(clean, tangent):
    """Projection on the tangent space at the closest clean image."""

    def project(y, sigma):
        near = torch.cdist(y.detach().flatten(1), clean.flatten(1)).argmin(dim=1)
        t, x = tangent[near], clean[near].flatten(1)
        return (x + torch.einsum("nmd,nme,ne->nd", t, t, y.flatten(1) - x)).reshape(y.shape)

    return project


def scene(n=8):
    from gahb_theory.hypotheses.assessment import TEST_SEED

    return X.scene(n, seed=TEST_SEED)


def network():
    """Two networks of one kind on a distribution that few images teach."""
    return gt.UNet(4, 1, seed=0).eval()


def verdict(h, f):
    result = gt.assess(h, f, images=X, train=OTHERS)
    assert all(null.passes in ("no", "not run") for null in result.nulls), repr(result)
    return result.verdict


class Test:
    def test_symmetric(self):
        assert verdict(catalogue.symmetric(PLAN), blur) == "supported"
        assert verdict(catalogue.symmetric(PLAN), lambda y, sigma: blur(y, sigma).roll(2, dims=2)) == "refuted"

    def test_homogeneous(self):
        assert verdict(catalogue.homogeneous(PLAN), network()) == "supported"
        assert verdict(catalogue.homogeneous(PLAN), lambda y, sigma: 0.9 * y + 0.05) == "refuted"

    def test_adaptive(self):
        h = catalogue.adaptive(PLAN)
        result = gt.assess(h, ray(scene().images), images=X, train=OTHERS)
        assert {n.passes for n in result.nulls} <= {"no", "not run"}, repr(result)
        assert result.verdict == "supported"
        assert verdict(h, gt.ShrinkageDenoiser(gt.DCT(), gt.Soft(1.0))) in ("refuted", "not converged")

    def test_a_fixed_basis_has_no_adaptivity_whatever_its_gains(self):
        x = X.sample(6)
        f = FixedBasisOracle().model(Setting(as_subject(blur), blur, 0, x, None))
        assert abs(adaptivity(f, x, 0.2, 0)).max() < 0.005
        assert abs(adaptivity(gt.GaussianDenoiser.fit(OTHERS), x, 0.2, 0)).max() < 1e-9

    def test_sparse(self):
        """Images of noise, which no fixed basis holds in few atoms."""
        x, others = torch.rand(408, 1, 16, 16, generator=torch.Generator().manual_seed(0)).split([8, 400])
        result = gt.assess(catalogue.sparse(others, PLAN), ray(x), images=x, train=others)
        assert {n.passes for n in result.nulls} <= {"no", "not run"}, repr(result)
        assert result.verdict == "supported"

    def test_near_optimal(self):
        image_class = gt.GaussianField(size=16)
        h = catalogue.near_optimal(image_class, Plan(images=64, sigmas=(0.1,)))
        best = gt.GaussianDenoiser.fit(image_class.sample(20_000, seed=1))
        result = gt.assess(h, best, images=image_class)
        assert result.estimate.value == pytest.approx(1, abs=0.05)
        assert result.nulls[0].passes == result.nulls[1].passes == "no"
        assert result.verdict == "not discriminating"  # of a Gaussian class the Wiener filter is the best denoiser
        assert "Wiener" in result.reason
        assert gt.assess(h, blur, images=image_class).estimate.value > 2

    def test_tangent_first(self):
        s = scene()
        h = catalogue.tangent_first(X, PLAN)
        assert verdict(h, tangent_projection(s.images, s.tangent)) == "supported"
        assert verdict(h, blur) == "refuted"

    def test_no_extra_directions(self):
        s = scene()
        h = catalogue.no_extra_directions(X, PLAN)
        assert verdict(h, tangent_projection(s.images, s.tangent)) == "supported"
        assert verdict(h, blur) == "refuted"
        assert verdict(h, lambda y, sigma: 0 * y + 0.5) == "refuted"

    def test_tangents_of_other_images_are_refused(self):
        with pytest.raises(ValueError, match="give images=image_class"):
            gt.assess(catalogue.tangent_first(X, PLAN), blur, images=X.sample(8), train=OTHERS)

    def test_memorises(self):
        h = catalogue.memorises(TRAIN, OTHERS)
        assert verdict(h, gt.EmpiricalBayes(TRAIN)) == "supported"
        assert verdict(h, gt.GaussianDenoiser.fit(X.sample(2000, seed=13))) == "refuted"

    def test_sets_that_differ_in_themselves_are_no_memory(self):
        """Two flat halves are denoised better than disks by all that is local."""
        steps = torch.rand(32, 1, 1, 2, generator=torch.Generator().manual_seed(0)).repeat_interleave(8, dim=3)
        h = catalogue.memorises(steps.expand(-1, -1, 16, -1), OTHERS, Plan(images=64))
        for f in (blur, gt.EmpiricalBayes(TRAIN)):
            result = gt.assess(h, f, images=X, train=OTHERS)
            assert result.verdict == "not discriminating"
            assert "wavelet thresholding" in result.reason

    def test_agrees_with_twin(self):
        exact, linear = gt.EmpiricalBayes(X.sample(2000, seed=20)), gt.GaussianDenoiser.fit(X.sample(500, seed=23))
        h = catalogue.agrees_with_twin(exact, X.sample(500, seed=22), Plan(images=32, sigmas=(0.2,)))
        assert verdict(h, lambda y, sigma: 0.8 * exact(y, sigma) + 0.2 * linear(y, sigma)) == "supported"
        assert verdict(h, gt.GaussianDenoiser(linear.mean, 0.9 * torch.eye(256).double())) == "refuted"

    def test_local(self):
        assert verdict(catalogue.local(PLAN), blur) == "supported"
        assert verdict(catalogue.local(PLAN), lambda y, sigma: (y + y.flip(2)) / 2) == "refuted"

    def test_equivariant(self):
        assert verdict(catalogue.equivariant(PLAN), blur) == "supported"
        window = torch.linspace(0, 1, 16)
        assert verdict(catalogue.equivariant(PLAN), lambda y, sigma: y * window) == "refuted"

    def test_knows_noise_level(self):
        h = catalogue.knows_noise_level(Plan(images=16, sigmas=(0.1, 0.3)))
        assert verdict(h, gt.GaussianDenoiser.fit(X.sample(2000, seed=14))) == "supported"
        assert verdict(h, blur) == "refuted"
