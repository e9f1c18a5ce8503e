"""Denoisers that are exact: the posterior mean E[x | y] of a known distribution.

For a Gaussian distribution with mean m and covariance Sigma = sum_k s_k e_k e_k^T it is linear (Wiener 1949),

    f(y) = m + Sigma (Sigma + sigma^2 Id)^-1 (y - m) = m + sum_k s_k / (s_k + sigma^2) <y - m, e_k> e_k ,

with the Jacobian J = Sigma (Sigma + sigma^2 Id)^-1 = Cov[x | y] / sigma^2 at every y, and the risk

    E ||f(y) - x||^2 = sigma^2 tr J = sum_k s_k sigma^2 / (s_k + sigma^2)

(Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equations 8 to 10).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import canonical_sign
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import gain, risk, single
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["GaussianDenoiser"]

BLOCK = 2**28
"""Bytes of images that `GaussianDenoiser.fit` takes in double precision at a time."""


class GaussianDenoiser(DenoiserModule):
    """The posterior mean of a Gaussian distribution: its best denoiser, and the best linear one of any distribution.

    The covariance is decomposed once, in double precision; images of other dtypes than the covariance are welcome.
    There is nothing to train: it is in eval mode from the start.

    Parameters
    ----------
    mean
        Mean image m, shape (1, channels, height, width).
    covariance
        Sigma, shape (d, d) with d = channels * height * width, symmetric and without negative eigenvalues, in the units
        of squared intensities. Negative eigenvalues of the size of rounding are set to 0.

    Attributes
    ----------
    mean
        Mean image, shape (1, channels, height, width).
    variances
        Eigenvalues s_k, shape (d,), descending.
    atoms
        Eigenvectors e_k, orthonormal rows, shape (d, d).

    Raises
    ------
    ValueError
        If the shapes do not fit, if the covariance is not symmetric or has an eigenvalue clearly below 0.
    TypeError
        If mean and covariance have different dtypes, or are not floating point.

    References
    ----------
    N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949.

    See Also
    --------
    gahb_theory.GaussianField, gahb_theory.EmpiricalBayes, gahb_theory.PCA

    Examples
    --------
    Independent pixels of variance 1, seen through noise of variance 1, are worth half of what is seen:

    >>> import torch
    >>> f = GaussianDenoiser(torch.zeros(1, 1, 2, 2), torch.eye(4))
    >>> f(torch.full((1, 1, 2, 2), 0.8), 1.0)
    tensor([[[[0.4000, 0.4000],
              [0.4000, 0.4000]]]])
    >>> f.mse(1.0)
    tensor(2.)
    """

    takes_zero = True
    mean: Tensor
    variances: Tensor
    atoms: Tensor

    @takes_arrays
    def __init__(self, mean: Float[Tensor, "1 c h w"], covariance: Float[Tensor, "d d"]) -> None:
        super().__init__()
        validate.one_image(mean, "mean")
        _check_covariance(covariance, mean)
        self._keep(mean.detach().clone(), *_decompose(covariance))

    def _keep(self, mean: Tensor, variances: Tensor, atoms: Tensor) -> None:
        self.register_buffer("mean", mean)
        self.register_buffer("variances", variances)
        self.register_buffer("atoms", atoms)
        self.eval()

    @classmethod
    @takes_arrays
    def fit(cls, images: Float[Tensor, "N c h w"]) -> "GaussianDenoiser":
        """The denoiser of the distribution with the mean and the covariance of a set of images: their Wiener filter.

        It is computed on the device of the images, which are taken in double precision block by block: beside them it needs
        about 8 matrices of d^2 numbers, 0.3 GB each for images of 80 x 80 pixels, however many images there are. Of fewer
        images than half the pixels the eigenvectors are the singular vectors of the images, completed to a basis.

        Examples
        --------
        >>> from gahb_theory.images.disks import Disks
        >>> GaussianDenoiser.fit(Disks(size=16).sample(100)).variances.shape
        torch.Size([256])
        """
        blocks = torch.split(validate.images(images).detach(), max(1, BLOCK // (8 * images[0].numel())))
        mean = torch.stack([part.double().flatten(1).sum(dim=0) for part in blocks]).sum(dim=0) / len(images)
        if 2 * len(images) < len(mean):
            f = cls.__new__(cls)
            DenoiserModule.__init__(f)
            centred = torch.cat([part.double().flatten(1) - mean for part in blocks])
            f._keep(mean.reshape(1, *images.shape[1:]), *_of_few(centred))
            return f
        covariance = torch.zeros(len(mean), len(mean), dtype=mean.dtype, device=mean.device)
        for part in blocks:
            centred = part.double().flatten(1) - mean
            covariance.addmm_(centred.mT, centred)
        return cls(mean.reshape(1, *images.shape[1:]), covariance.div_(max(1, len(images) - 1)))

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image; `sigma` may differ from one to the next."""
        fitting(y, self.mean)
        dtype = single(y.dtype)
        mean, atoms, variances = self.mean.to(dtype), self.atoms.to(dtype), self.variances.to(dtype)
        coefficients = (y - mean).flatten(1) @ atoms.mT
        gains = gain(variances, sigma.flatten(1).to(dtype))
        return (mean + ((gains * coefficients) @ atoms).reshape(y.shape)).to(y.dtype)

    def gains(self, sigma: float | Float[Tensor, "*s"]) -> Float[Tensor, "*s d"]:
        """Gains s_k / (s_k + sigma^2), which are the eigenvalues of the Jacobian at every y.

        Parameters
        ----------
        sigma
            A number, or a tensor of shape (s,) for several noise levels, at least 0.

        Returns
        -------
        Shape (d,), descending, or (s, d).
        """
        return gain(self.variances, self._levels(sigma))

    def mse(self, sigma: float | Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Risk sum_k s_k sigma^2 / (s_k + sigma^2), the smallest of all denoisers of this distribution, summed over pixels.

        Parameters
        ----------
        sigma
            A number, or a tensor of shape (s,) for a curve, at least 0.

        Returns
        -------
        A tensor without axes, or of shape (s,).
        """
        return risk(self.variances, self._levels(sigma)).sum(dim=-1).to(self.variances.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = sum_k s_k / (s_k + sigma^2) e_k e_k^T; the same at every noisy image."""
        fitting(validate.one_image(y, "y"), self.mean)
        atoms = self.atoms.to(y.dtype)
        return (atoms.mT * self.gains(validate.sigma_level(sigma, zero=True)).to(y.dtype)) @ atoms

    def _levels(self, sigma: float | Tensor) -> Tensor:
        """Noise levels, without axes or of shape (s, 1)."""
        count = sigma.shape[0] if isinstance(sigma, Tensor) and sigma.ndim == 1 else None
        level = validate.batch_sigma(sigma, self.variances.expand(count or 1, -1), zero=True)
        return level[0, 0] if count is None else level


def _check_covariance(covariance: Tensor, mean: Tensor) -> None:
    d = mean.numel()
    sides = f"one row and one column for each number of the mean image {tuple(mean.shape)}"
    validate.tensor(covariance, "covariance", (d, d), sides)
    if covariance.dtype != mean.dtype:
        raise TypeError(
            f"covariance is {covariance.dtype}, but mean is {mean.dtype}; convert one with covariance.to({mean.dtype})"
        )
    validate.same_device(covariance, mean, "covariance")
    gap, size = float((covariance - covariance.mT).abs().max()), float(covariance.abs().max())
    if gap > torch.finfo(covariance.dtype).eps ** 0.5 * size:
        raise ValueError(
            f"covariance must be symmetric, got entries that differ by {gap:.3g} from those of the transpose, "
            f"the largest being {size:.3g}; use (covariance + covariance.mT) / 2 if that is what you mean"
        )


def _of_few(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of the covariance of N < d centred images (N, d); d - N eigenvalues are 0."""
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    others = torch.linalg.qr(rows.mT, mode="complete").Q[:, len(rows) :].mT
    variances = centred.new_zeros(centred.shape[1])
    variances[: len(values)] = values.square() / max(1, len(centred) - 1)
    atoms = torch.cat([rows, others])
    return variances, atoms * canonical_sign(atoms)[:, None]


def _decompose(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, descending and not below 0, and eigenvectors as rows, by a decomposition in double precision."""
    matrix = covariance.detach()
    matrix = (matrix.cpu() if matrix.device.type == "mps" else matrix).double()
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    lowest, largest = float(values[0]), float(values.abs().max())
    if lowest < -(torch.finfo(covariance.dtype).eps ** 0.5) * largest:
        raise ValueError(
            f"covariance must have no negative eigenvalues, got {lowest:.3g} where the largest in magnitude is "
            f"{largest:.3g}; is it a precision matrix, or the difference of two covariances?"
        )
    atoms = vectors.flip(1).mT
    results = (values.flip(0).clamp(min=0), atoms * canonical_sign(atoms)[:, None])
    variances, atoms = (r.to(covariance.dtype).to(covariance.device) for r in results)
    return variances, atoms
