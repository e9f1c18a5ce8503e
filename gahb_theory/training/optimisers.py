"""The optimisers of training: Adam, and orthogonalised momentum for the kernels of convolutions.

A kernel W (outputs, inputs, k, k) is a matrix of `outputs` rows. Orthogonalised momentum (Muon: Jordan et al. 2024) moves
it along the polar factor of its averaged gradient, the steepest descent for the spectral norm (Bernstein and Newhouse 2024),

    M <- mu M + G,      G + mu M = U S V^T,      W <- W - eta max(1, rows / columns)^(1/2) U V^T .

Five Newton-Schulz steps X <- P X, P = a + b A + c A^2, A = X X^T, come near the polar factor: singular values in
[0.68, 1.14], not 1, by products of matrices alone. P and A commute, so that the steps are taken on A <- P A P, which is smaller
than X, and X is multiplied once by the product of all P. Directions in which the gradient is small, which Adam follows slowly,
move as fast as the others. All else (gains, first and last layer, kernels of few channels, matrices of other networks)
is left to Adam.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Muon", "adam", "is_kernel", "orthogonalise"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
FEWEST_CHANNELS = 8


def orthogonalise(matrix: Float[Tensor, "m n"], steps: int = 5) -> Float[Tensor, "m n"]:
    """The polar factor U V^T of U S V^T, roughly: singular values near 1 in place of S.

    Parameters
    ----------
    matrix
        Shape (m, n).
    steps
        Number of Newton-Schulz steps. Five bring singular values above 1% of the Frobenius norm into [0.68, 1.14].

    Examples
    --------
    >>> matrix = torch.diag(torch.tensor([3.0, 1.0, 0.1]))
    >>> bool(((orthogonalise(matrix).diagonal() - 1).abs() < 0.35).all())
    True
    """
    return _turned(_inverse_root(_gram(matrix)[None], steps)[0], matrix)


def _gram(matrix: Tensor) -> Tensor:
    """The products of the rows, or of the columns where there are fewer."""
    return matrix.mT @ matrix if matrix.shape[0] > matrix.shape[1] else matrix @ matrix.mT


def _turned(root: Tensor, matrix: Tensor) -> Tensor:
    return matrix @ root if matrix.shape[0] > matrix.shape[1] else root @ matrix


def _inverse_root(gram: Float[Tensor, "k m m"], steps: int = 5) -> Float[Tensor, "k m m"]:
    """The product of all P over the Frobenius norm of X, from A = X X^T: roughly A^(-1/2)."""
    a, b, c = COEFFICIENTS
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)  # the norm squared
    scale = (1 / (trace.sqrt() + 1e-12))[:, None, None]
    gram = gram * scale.square()
    total = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        total = factor if total is None else torch.bmm(factor, total)
        gram = torch.bmm(torch.bmm(factor, gram), factor) if step + 1 < steps else gram
    return scale * (torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device) if total is None else total)


def is_kernel(parameter: Tensor) -> bool:
    """Whether a parameter is a convolution kernel between at least eight channels and eight channels."""
    return parameter.ndim == 4 and min(parameter.shape[:2]) >= FEWEST_CHANNELS


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for convolution kernels.

    Parameters
    ----------
    kernels
        Parameters of shape (rows, ...); all other axes are the columns of the matrix.
    lr
        The spectral norm of a step, for kernels of no more rows than columns.
    momentum
        The factor mu.

    References
    ----------
    K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024. J. Bernstein and L. Newhouse, Old
    optimizer, new norm: an anthology, 2024.

    Examples
    --------
    >>> kernel = torch.nn.Parameter(torch.zeros(8, 8, 3, 3))
    >>> optimiser = Muon([kernel], lr=0.1)
    >>> kernel.square().sum().backward()
    >>> optimiser.step()
    """

    def __init__(self, kernels: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(list(kernels), {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for kernel in group["params"]:
                self.state[kernel] = {"momentum": torch.zeros_like(kernel)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every kernel that has a gradient."""
        for group in self.param_groups:
            kernels = [kernel for kernel in group["params"] if kernel.grad is not None]
            if not kernels:
                continue
            gradients, means = [k.grad for k in kernels], [self.state[k]["momentum"] for k in kernels]
            torch._foreach_mul_(means, group["momentum"])
            torch._foreach_add_(means, gradients)
            ahead = torch._foreach_add(gradients, means, alpha=group["momentum"])
            # columns in the order of memory of kernels in channels-last format, so that nothing is copied
            matrices = [direction.movedim(1, -1).flatten(1) for direction in ahead]
            for kernel, matrix, root in zip(kernels, matrices, _inverse_roots(matrices), strict=True):
                factor = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                direction = (
                    _turned(root, matrix).reshape(len(matrix), *kernel.shape[2:], kernel.shape[1]).movedim(-1, 1)
                )
                kernel.sub_(direction, alpha=group["lr"] * factor)


def _inverse_roots(matrices: list[Tensor]) -> list[Tensor]:
    """One for each matrix; those of one size are taken together, since small products cost what a call costs."""
    grams = [_gram(matrix) for matrix in matrices]
    roots = grams.copy()
    sides = [gram.shape[0] for gram in grams]
    for side in set(sides):
        alike = [i for i, other in enumerate(sides) if other == side]
        for i, root in zip(alike, _inverse_root(torch.stack([grams[i] for i in alike])), strict=True):
            roots[i] = root
    return roots


def adam(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """Adam with its state in place from the start, so that it is saved and loaded as plain tensors."""
    parameters = list(parameters)
    fused = all(p.device.type == "cpu" for p in parameters)  # one call; elsewhere it wants its state on the device
    optimiser = torch.optim.Adam(parameters, lr=lr, fused=fused or None)
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            optimiser.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device="cpu"),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
    return optimiser
