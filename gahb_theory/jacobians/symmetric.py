"""The Jacobian of a conservative denoiser, which is symmetric: one product serves both directions.

f = grad 1/2 <y, N(y)> with N piecewise linear has the Jacobian

    S = 1/2 (J_N + J_N^T),        S v = 1/2 (J_N v + J_N^T v),        S_ii = (J_N)_ii ,

so that N alone is recorded. The dense matrix, its sparse form and the diagonal cost what they cost for N: they are formed for
N, by windows or from both ends where that is cheapest, and made symmetric. Where N is smooth, S is the Hessian of the energy,
with the second derivatives of N in it (`engines.curved`); where N cannot be recorded, S v = S^T v is one pass back through
the graph of f.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from gahb_theory.jacobians.engines.autograd import AutogradProducts
from gahb_theory.jacobians.engines.recorded import FrozenProducts
from gahb_theory.jacobians.linear_operator import LinearOperator
from gahb_theory.jacobians.operator import Jacobian

__all__ = ["HessianJacobian", "HessianProducts", "SymmetricJacobian", "SymmetricProducts"]


class HessianProducts:
    """S v = S^T v through the graph of f."""

    def __init__(self, products: AutogradProducts) -> None:
        self.products = products

    def push(self, v: Tensor) -> Tensor:
        """S v for `v` of shape (batch, *input shape)."""
        return self.products.pull(v)

    def pull(self, u: Tensor) -> Tensor:
        """S u, since S is symmetric."""
        return self.products.pull(u)


class HessianJacobian(Jacobian):
    """The symmetric Jacobian of a conservative denoiser whose network is smooth. Build it with `jacobian`."""

    is_symmetric: ClassVar[bool] = True

    def matrix(self) -> Tensor:
        """The dense matrix S, computed the first time and kept; rounding does not make it asymmetric."""
        if self._matrix is None:
            matrix = super().matrix()
            self._matrix = torch.add(matrix, matrix.mT).div_(2)
            self._version = self._matrix._version
        return self._dense()


class SymmetricProducts:
    """S v = S^T v by the recorded network N.

    Parameters
    ----------
    network
        The products with the Jacobian of N.

    Attributes
    ----------
    bytes_per_direction
        Memory of one direction on its way through N, and of what the first product leaves for the sum.
    """

    def __init__(self, network: FrozenProducts) -> None:
        self.network = network
        self.bytes_per_direction = network.bytes_per_direction

    @property
    def largest_value(self) -> int:
        """Numbers in the largest feature map."""
        return self.network.largest_value

    def push(self, v: Tensor) -> Tensor:
        """S v for `v` of shape (batch, *input shape)."""
        return (self.network.push(v) + self.network.pull(v)) / 2

    def pull(self, u: Tensor) -> Tensor:
        """S u, since S is symmetric."""
        return self.push(u)


class SymmetricJacobian(Jacobian):
    """The symmetric Jacobian of a conservative denoiser whose network was recorded. Build it with `jacobian`."""

    is_symmetric: ClassVar[bool] = True
    _products: SymmetricProducts | None

    def matrix(self) -> Tensor:
        """The dense matrix S, exactly symmetric, computed the first time and kept, as `Jacobian.matrix`."""
        if self._matrix is None:
            matrix = self._of_network().matrix()
            self._matrix = torch.add(matrix, matrix.mT).div_(2)
            self._version = self._matrix._version
            self._products = None
        return self._dense()

    def sparse_matrix(self) -> Any:
        """S as a `scipy.sparse.csr_array`, with the entries that the receptive field allows; not kept."""
        if self._products is None:
            return super().sparse_matrix()
        matrix = self._of_network().sparse_matrix()
        return ((matrix + matrix.T) / 2).tocsr()

    def _diagonal(self) -> Tensor:
        return self._of_network().diagonal()

    def _of_network(self) -> LinearOperator:
        """The Jacobian of the network inside."""
        assert self._products is not None
        return LinearOperator(self._products.network, self._y, self.output_shape, chunk=self.chunk)
