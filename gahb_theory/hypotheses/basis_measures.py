"""Measures of the Jacobian J of a denoiser and of its eigenbasis, one number for each image.

    asymmetry        ||J - J^T|| / ||J - (tr J / d) Id||
    reach_beyond     share of ||J - diag J||^2 between pixels that are far from each other
    adaptivity       energy of an image in the best d / 32 vectors of its eigenbasis, less that expected of other images' bases
    Sparsity         the same energy, less that in the best d / 32 atoms of the best fixed basis
    TangentFirst     share of the tangent space in the first m eigenvectors
    ProjectsOnTangent  ||S - P||^2 / m, P the projection on the tangent space

Energies are of the image without its mean. The eigenbasis is that of the symmetric part S of J at the noisy image. In
`adaptivity` the best vectors are chosen anew for each pair of image and basis, so that gains that adapt in a fixed basis do
not count; and what is expected is additive in image and basis, fitted to the pairs that do not belong together, so that a
denoiser with one basis for all images has 0 to rounding.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gahb_theory.bases.base import Basis
from gahb_theory.bases.fourier import DCT
from gahb_theory.bases.pca import PCA
from gahb_theory.bases.wavelet import Wavelet
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.identity import IDENTITY_NAME
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise

__all__ = ["ProjectsOnTangent", "Sparsity", "TangentFirst", "adaptivity", "asymmetry", "reach_beyond"]

PART = 32
"""An image is described by one vector for each so many pixels."""
TINY = 1e-12


def _matrices(f: Denoiser, images: Tensor, sigma: float, seed: int) -> list[Tensor]:
    """J at each noisy image, in double precision on the processor."""
    y = add_noise(images, sigma, seed=seed)
    return [jacobian(f, y[i : i + 1], sigma).matrix().detach().double().cpu() for i in range(len(y))]


def asymmetry(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """||J - J^T|| / ||J - (tr J / d) Id|| in the Frobenius norm; 0 for a symmetric J, 1.41 for a random one.

    A multiple of the identity does not count: near it every Jacobian looks symmetric.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> asymmetry(lambda y, sigma: 0.5 * y, gt.Disks(size=16).sample(2), 0.1, 0)
    tensor([0., 0.], dtype=torch.float64)
    """
    result = []
    for J in _matrices(f, images, sigma, seed):
        remainder = J - J.trace() / len(J) * torch.eye(len(J), dtype=J.dtype)
        size = remainder.norm()
        result.append((J - J.mT).norm() / size if size > 1e-6 * J.norm() else torch.zeros_like(size))
    return torch.stack(result)


def reach_beyond(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """Share of ||J - diag J||^2 between pixels more than a quarter of the image apart, in rows or columns.

    0 for a multiple of the identity, 1 where J = 0: a denoiser that looks at nothing is not local.
    """
    channels, height, width = images.shape[1:]
    rows = torch.arange(height).repeat_interleave(width).repeat(channels)
    columns = torch.arange(width).repeat(height * channels)
    apart = ((rows[:, None] - rows).abs() > height // 4) | ((columns[:, None] - columns).abs() > width // 4)
    result = []
    for J in _matrices(f, images, sigma, seed):
        between = (J - torch.diag(J.diagonal())).square()
        total = between.sum()
        empty = torch.full_like(total, float(J.square().sum() <= TINY))
        result.append(between[apart].sum() / total if total > TINY * J.square().sum().clamp(min=1) else empty)
    return torch.stack(result)


def _bases(f: Denoiser, images: Tensor, sigma: float, seed: int) -> list[Tensor]:
    """Eigenvectors of S at each noisy image as columns, by descending eigenvalue."""
    return [torch.linalg.eigh((J + J.mT) / 2).eigenvectors.flip(1) for J in _matrices(f, images, sigma, seed)]


def _centred(images: Tensor) -> Tensor:
    """Images without their means, each of norm 1, as rows in double precision."""
    flat = (images - images.mean(dim=(2, 3), keepdim=True)).flatten(1).double().cpu()
    return flat / flat.norm(dim=1, keepdim=True).clamp(min=TINY)


def _best_energy(coefficients: Tensor, count: int) -> Tensor:
    """Energy of the `count` largest coefficients of each row."""
    return coefficients.square().topk(count, dim=1).values.sum(dim=1)


def adaptivity(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """Energy of each image in the best d / 32 vectors of its own eigenbasis, less what other images' bases let expect.

    Energies are between 0 and 1. 0 if the basis does not depend on the image, whatever the gains.
    """
    x, n = _centred(images), len(images)
    count = max(1, x.shape[1] // PART)
    energy = torch.stack([_best_energy(x @ basis, count) for basis in _bases(f, images, sigma, seed)])
    own = energy.diagonal()
    others = energy - torch.diag(own)
    # a_i + b_i of the additive fit a_i + b_j to the pairs i != j
    rows, columns = others.sum(dim=1) / (n - 1), others.sum(dim=0) / (n - 1)
    expected = (rows + columns - n / (n - 1) * rows.mean()) * (n - 1) / (n - 2)
    return own - expected


@dataclass(frozen=True, eq=False)
class Sparsity:
    """Energy in the best d / 32 vectors of the eigenbasis, less that in the best d / 32 atoms of the best fixed basis.

    The fixed bases are sym4 wavelets, cosines and the principal components of the training images; the best of the three is
    taken for each image.

    Parameters
    ----------
    train
        Training images, none of which is a test image.
    """

    train: Tensor
    name: str = "energy in the eigenbasis less that in fixed bases"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image, between -1 and 1."""
        x = _centred(images)
        count = max(1, x.shape[1] // PART)
        square = x.reshape(images.shape)
        fixed: list[Basis] = [Wavelet("sym4"), DCT(), PCA.fit(self.train.double().cpu())]
        rivals = torch.stack([_best_energy(basis.analysis(square), count) for basis in fixed]).amax(dim=0)
        bases = _bases(f, images, sigma, seed)
        own = torch.cat([_best_energy(x[i : i + 1] @ basis, count) for i, basis in enumerate(bases)])
        return own - rivals


def _tangents(image_class: Any, images: Tensor) -> Tensor:
    """Orthonormal tangent vectors (n, m, d) of test images that `assess` has drawn from a class."""
    from gahb_theory.hypotheses.assessment import TEST_SEED

    scene = image_class.scene(len(images), seed=TEST_SEED)
    if scene.images.shape != images.shape or not torch.equal(scene.images.to(images), images):
        raise ValueError(
            "the tangent spaces are known for the images that assess draws itself; give images=image_class, the class that the "
            "hypothesis is made with"
        )
    return scene.tangent.double()


@dataclass(frozen=True, eq=False)
class TangentFirst:
    """Share of the tangent space of a class in the first m eigenvectors, m its dimension: 1 if they span it, m / d by chance.

    Parameters
    ----------
    image_class
        An image class with tangent spaces, such as `Disks`.
    """

    image_class: Any = field(metadata={IDENTITY_NAME: "law"})
    name: str = "tangent space in the first eigenvectors"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image, between 0 and 1."""
        pairs = zip(_tangents(self.image_class, images), _bases(f, images, sigma, seed), strict=True)
        return torch.stack(
            [(tangent @ basis[:, : len(tangent)]).square().sum() / len(tangent) for tangent, basis in pairs]
        )


@dataclass(frozen=True, eq=False)
class ProjectsOnTangent:
    """||S - P||^2 / m, P the projection on the tangent space, of dimension m: 0 if S is P, 1 if S = 0.

    Every direction beside the tangent space adds lambda^2 / m.

    Parameters
    ----------
    image_class
        An image class with tangent spaces, such as `Disks`.
    """

    image_class: Any = field(metadata={IDENTITY_NAME: "law"})
    name: str = "distance of the Jacobian from the projection on the tangent space"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        pairs = zip(_tangents(self.image_class, images), _matrices(f, images, sigma, seed), strict=True)
        return torch.stack([((J + J.mT) / 2 - t.mT @ t).square().sum() / len(t) for t, J in pairs])
