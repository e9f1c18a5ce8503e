"""Principal components: the eigenvectors of the covariance of a set of images (Pearson 1901, Hotelling 1933).

    Sigma = 1 / (n - 1) sum_i (x_i - m)(x_i - m)^T,        Sigma e_k = s_k e_k,        s_1 >= s_2 >= ... >= 0 .

Of all fixed bases this one keeps the most energy in its first M terms, for every M. It is also the basis of the best
linear denoiser, whose gains are s_k / (s_k + sigma^2) and whose risk is sum_k s_k sigma^2 / (s_k + sigma^2). For a
class that does not change under translation it is the Fourier basis, and no better than it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import MatrixBasis, check_orthonormal
from gahb_theory.bases.dense import check_variances
from gahb_theory.precision import full_precision, takes_arrays

__all__ = ["PCA"]

CHUNK = 1024


@dataclass(frozen=True, eq=False, repr=False)
class PCA(MatrixBasis):
    """The principal components of a set of images; build it with `PCA.fit`.

    It is a linear basis: `analysis` gives <x, e_k> and does not subtract the mean. For centred coefficients call
    ``basis.analysis(x - basis.mean)``.

    Parameters
    ----------
    atoms
        Orthonormal rows, shape (k, channels * height * width), in the order of `variances`.
    variances
        Variance of the images along each atom, shape (k,), descending.
    mean
        Mean image, shape (1, channels, height, width).

    See Also
    --------
    gahb_theory.GaussianDenoiser, gahb_theory.compare

    Examples
    --------
    >>> import torch
    >>> images = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> basis = PCA.fit(images, components=3)
    >>> tuple(basis.atoms.shape), tuple(basis.analysis(images).shape)
    ((3, 16), (50, 3))
    """

    atoms: Float[Tensor, "k d"]
    variances: Float[Tensor, " k"]
    mean: Float[Tensor, "1 c h w"]

    def __post_init__(self) -> None:
        validate.one_image(self.mean, "mean")
        validate.coefficients(self.atoms, self.mean.numel(), "atoms")
        check_variances(self.variances, len(self.atoms))
        full_precision(check_orthonormal)(self.atoms)
        object.__setattr__(self, "image_shape", tuple(self.mean.shape[1:]))

    @classmethod
    @takes_arrays
    def fit(cls, images: Float[Tensor, "n c h w"], components: int | None = None) -> "PCA":
        """Principal components of `images`.

        The work is done in float64, on the CPU where the device has none; the result has the dtype and the device of
        the images. Each atom has the sign that makes its largest entry positive.

        Parameters
        ----------
        images
            At least 2 images, shape (n, channels, height, width).
        components
            Number k of atoms. None gives a complete basis, also where there are fewer images than pixels: the atoms
            beyond the span of the images then have variance 0.

        Raises
        ------
        ValueError
            If there are fewer than 2 images, or if `components` is not between 1 and the number of pixels.
        """
        validate.images(images, least=2)
        n, dimension = images.shape[0], images[0].numel()
        count = dimension if components is None else validate.integer(components, "components", 1, dimension)
        with torch.no_grad():
            flat = images.detach().flatten(1)
            mean = torch.stack([part.sum(dim=0) for part in _parts(flat)]).sum(dim=0) / n
            variances, atoms = _eigen(flat, mean) if n > dimension else _singular(flat, mean, count)
            variances, atoms = variances[:count].clamp(min=0), atoms[:count]
            largest = atoms.gather(1, atoms.abs().argmax(dim=1, keepdim=True))
            results = (atoms * largest.sign(), variances, mean.reshape(1, *images.shape[1:]))
            return cls(*(result.to(images.dtype).to(images.device) for result in results))


def _parts(flat: Tensor) -> Iterator[Tensor]:
    """Rows of `flat` in float64, a part at a time."""
    for start in range(0, flat.shape[0], CHUNK):
        yield _double(flat[start : start + CHUNK])


def _double(x: Tensor) -> Tensor:
    return (x.cpu() if x.device.type == "mps" else x).to(torch.float64)


def _eigen(flat: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (rows) of the covariance, for more images than pixels."""
    covariance = torch.zeros(flat.shape[1], flat.shape[1], dtype=torch.float64, device=mean.device)
    for part in _parts(flat):
        centred = part - mean
        covariance.addmm_(centred.mT, centred)
    values, vectors = torch.linalg.eigh(covariance / (flat.shape[0] - 1))
    return values.flip(0), vectors.flip(1).mT


def _singular(flat: Tensor, mean: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same from the images themselves, for at most as many images as pixels.

    The centred images X span what all but the last of them span, an orthonormal Q, and X Q = U S W gives X = U S (W Q^T):
    the singular values of a small matrix, instead of those of X with all of its atoms. With the last image, which adds
    nothing but rounding, the atoms of no variance would depend on that.
    """
    n, dimension = flat.shape
    centred = _double(flat) - mean
    q = torch.linalg.qr(centred[:-1].mT, mode="complete" if count >= n else "reduced")[0].mT
    _, values, rotation = torch.linalg.svd(centred @ q[: n - 1].mT, full_matrices=False)
    variances = torch.zeros(dimension, dtype=torch.float64, device=mean.device)
    variances[: n - 1] = values.square() / (n - 1)
    return variances, torch.cat([rotation @ q[: n - 1], q[n - 1 :]])
