"""Whether directions that a denoiser neither keeps nor removes lie at the contour of the own image.

    cos_ij = cosine of  sum of v^2 over the eigenvectors v at image i with eigenvalue in (.2, .8)  and  |grad x_j|, over pixels

and the value of image i is cos_ii less the additive fit a_i + b_j to the pairs that do not belong together: 0 for a denoiser
with one basis for all images, and .33 on the test disks where v^2 is the squared gradient itself. An image without such
eigenvectors has cosine 0 with all.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.paper.judged_measures import BETWEEN, Spectra, own_less_expected

__all__ = ["ContourShare", "gradients"]


def gradients(images: Tensor) -> Tensor:
    """|grad x| by central differences, one-sided at the border, shape (n, d).

    Examples
    --------
    >>> x = torch.zeros(1, 1, 4, 6)
    >>> x[..., 3:] = 1
    >>> gradients(x).reshape(4, 6)[0].tolist()
    [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]
    """
    rows, columns = torch.gradient(images.double(), dim=(2, 3))
    return (rows.square() + columns.square()).sqrt().sum(dim=1).flatten(1)


@dataclass(frozen=True, eq=False)
class ContourShare:
    """Cosine of the energy of intermediate eigenvectors to the own contour, less what those of other images let expect.

    Parameters
    ----------
    spectra
        Where eigenvectors are kept.
    """

    spectra: Spectra = field(default_factory=Spectra)
    name: str = "cosine of the energy of intermediate eigenvectors to the own contour less that to others"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        values, vectors = self.spectra.at(f, images, sigma)
        between = ((values > BETWEEN[0]) & (values < BETWEEN[1])).double()
        energy = (vectors.double().square() * between[:, :, None]).sum(dim=1)
        return own_less_expected(normalize(energy) @ normalize(gradients(images)).mT)
