"""The claims of the paper and of the later literature as hypotheses that run on any denoiser.

Each function returns a `Hypothesis` with its measure, criterion and nulls; what a claim is about besides the denoiser, as its
training images, is an argument. The nulls are models that provably, or by construction, lack the property; `tests/hypotheses`
checks that they fail, and that a planted positive passes.

    symmetric              the Jacobian is symmetric, as that of E[x | y] is
    homogeneous            f(s y) = s f(y)
    adaptive               the eigenbasis adapts to the image, not the gains alone
    sparse                 it holds more of the image than wavelets, cosines and principal components do
    near_optimal           the risk is that of the best denoiser
    tangent_first          the first eigenvectors span the tangent space
    no_extra_directions    and the others have no part
    memorises              training images are denoised better than others
    agrees_with_twin       two denoisers with disjoint training sets agree beyond what a Wiener filter explains
    local                  a pixel depends on those around it
    equivariant            f commutes with shifts
    knows_noise_level      a blind denoiser acts by the noise level that it sees
"""

from typing import Any

from torch import Tensor

from gahb_theory.bases.wavelet import Wavelet
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.hypotheses.basis_measures import (
    ProjectsOnTangent,
    Sparsity,
    TangentFirst,
    adaptivity,
    asymmetry,
    reach_beyond,
)
from gahb_theory.hypotheses.controls_of_subject import Displaced, FixedLevel, Permuted
from gahb_theory.hypotheses.gates import BeatsSimple
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.nulls import (
    ConstantMean,
    FixedBasisOracle,
    Identity,
    Memoriser,
    OtherGeometry,
    Untrained,
    Wiener,
)
from gahb_theory.hypotheses.output_measures import (
    Memory,
    RiskRatio,
    TwinAgreement,
    inhomogeneity,
    knows_noise,
    shift_error,
)
from gahb_theory.hypotheses.subjects import Given
from gahb_theory.shrinkage import Soft

__all__ = [
    "adaptive",
    "agrees_with_twin",
    "equivariant",
    "homogeneous",
    "knows_noise_level",
    "local",
    "memorises",
    "near_optimal",
    "no_extra_directions",
    "sparse",
    "symmetric",
    "tangent_first",
]

PAPER = "Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024"
PLAN = Plan()
MORE_IMAGES, MANY_IMAGES, SMALL_NOISE = Plan(images=32), Plan(images=128), Plan(sigmas=(0.05,))


def symmetric(plan: Plan = PLAN) -> Hypothesis:
    """||J - J^T|| is less than 10 % of what J is beside a multiple of the identity. A random matrix has 1.41."""
    return Hypothesis(
        "The Jacobian of the denoiser is symmetric.",
        asymmetry,
        Criterion(0.1, "<"),
        nulls=[Displaced(), Untrained()],
        plan=plan,
        source=f"{PAPER}, equation (6); Miyasawa 1961",
    )


def homogeneous(plan: Plan = PLAN) -> Hypothesis:
    """f(2 y, 2 sigma) / 2 is f(y, sigma) to 1 %."""
    return Hypothesis(
        "The denoiser is homogeneous.",
        inhomogeneity,
        Criterion(0.01, "<"),
        nulls=[ConstantMean(), Wiener()],
        plan=plan,
        source="Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020",
    )


def adaptive(plan: Plan = MORE_IMAGES) -> Hypothesis:
    """The own eigenbasis holds 2 % more of the energy of an image than those of other images let expect."""
    return Hypothesis(
        "The eigenbasis of the denoiser adapts to the image.",
        adaptivity,
        Criterion(0.02, ">"),
        nulls=[Wiener(), FixedBasisOracle(), OtherGeometry(), Untrained()],
        gates=[BeatsSimple()],
        plan=plan,
        source=f"{PAPER}, section 3",
    )


def sparse(others: Tensor, plan: Plan = MORE_IMAGES) -> Hypothesis:
    """The eigenbasis holds 1 % more of the energy of an image than the best of the fixed bases."""
    return Hypothesis(
        "Images are sparser in the eigenbasis of the denoiser than in fixed bases.",
        Sparsity(others),
        Criterion(0.01, ">"),
        nulls=[Wiener(), FixedBasisOracle(), Untrained()],
        gates=[BeatsSimple()],
        plan=plan,
        source=f"{PAPER}, section 3",
    )


def near_optimal(image_class: Any, plan: Plan = PLAN) -> Hypothesis:
    """The risk is less than half a decibel above the Bayes risk, of which the lower end is taken."""
    return Hypothesis(
        "The risk of the denoiser is near that of the best one.",
        RiskRatio(image_class),
        Criterion(10**0.05, "<"),
        nulls=[Identity(), ConstantMean(), Wiener()],
        plan=plan,
        source=f"{PAPER}, figure 5",
    )


def tangent_first(image_class: Any, plan: Plan = SMALL_NOISE) -> Hypothesis:
    """The first m eigenvectors hold 90 % of the tangent space, of dimension m."""
    return Hypothesis(
        "The first eigenvectors of the denoiser span the tangent space.",
        TangentFirst(image_class),
        Criterion(0.9, ">"),
        nulls=[Wiener(), FixedBasisOracle(), Untrained()],
        plan=plan,
        source=f"{PAPER}, figure 4",
    )


def no_extra_directions(image_class: Any, plan: Plan = SMALL_NOISE) -> Hypothesis:
    """S is the projection on the tangent space: ||S - P||^2 < .3 m. S = 0 has m; each direction beside adds lambda^2."""
    return Hypothesis(
        "The denoiser keeps the tangent space and no other direction.",
        ProjectsOnTangent(image_class),
        Criterion(0.3, "<"),
        nulls=[Identity(), ConstantMean(), Wiener()],
        plan=plan,
        source=f"{PAPER}, figure 4",
    )


def memorises(train: Tensor, others: Tensor, plan: Plan = MANY_IMAGES) -> Hypothesis:
    """Training images are denoised 1 dB better than test images, beyond what a filter that has seen neither sees of them.

    Wavelet thresholding, which has seen nothing, must not see a difference: if it does, the two sets differ in themselves.

    Parameters
    ----------
    train
        Training images.
    others
        Images of the same distribution, neither trained on nor tested on.
    plan
        Seeds, images, noise levels.
    """
    threshold = Given(ShrinkageDenoiser(Wavelet("sym4"), Soft(1.5)), "wavelet thresholding")
    return Hypothesis(
        "The denoiser has memorised its training images.",
        Memory(train, others),
        Criterion(1.0, ">"),
        nulls=[threshold],
        plan=plan,
        source=f"{PAPER}, section 2",
        unit="dB",
    )


def agrees_with_twin(
    twin: Denoiser, others: Tensor, plan: Plan = MORE_IMAGES, *, train_images: int | None = None
) -> Hypothesis:
    """What denoiser and twin do beyond a Wiener filter has a cosine above 0.5.

    A better Wiener filter, of three times as many images as those that are subtracted, must not agree: if it does, there are
    too few images to tell. With the number of training images of each, the result shows what two Wiener filters of them give.
    """
    better = Given(GaussianDenoiser.fit(others), "Wiener filter of all other images")
    return Hypothesis(
        "Denoisers trained on disjoint sets agree beyond what a Wiener filter explains.",
        TwinAgreement(twin, others, train_images),
        Criterion(0.5, ">"),
        nulls=[better, Memoriser(), Untrained()],
        plan=plan,
        source=f"{PAPER}, section 2",
    )


def local(plan: Plan = PLAN) -> Hypothesis:
    """Less than 5 % of what a pixel takes from others comes from more than a quarter of the image away, in squares."""
    return Hypothesis(
        "The denoiser is local.",
        reach_beyond,
        Criterion(0.05, "<"),
        nulls=[Permuted(), ConstantMean()],
        plan=plan,
        source="Kamb and Ganguli, ICML 2025",
    )


def equivariant(plan: Plan = PLAN) -> Hypothesis:
    """f(T y) and T f(y) differ by less than 10 % of what f changes, away from the border."""
    return Hypothesis(
        "The denoiser commutes with shifts.",
        shift_error,
        Criterion(0.1, "<"),
        nulls=[Permuted()],
        plan=plan,
        source="Kamb and Ganguli, ICML 2025",
    )


def knows_noise_level(plan: Plan = PLAN) -> Hypothesis:
    """Acting as at half or twice the noise level would cost 0.2 dB or more."""
    return Hypothesis(
        "The blind denoiser knows the noise level.",
        knows_noise,
        Criterion(0.2, ">"),
        nulls=[FixedLevel(), Identity()],
        plan=plan,
        source="Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020",
        unit="dB",
    )
