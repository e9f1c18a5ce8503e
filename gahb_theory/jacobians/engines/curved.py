"""Products with the Hessian of 1/2 <y, N(y)> for a recorded network N, without automatic differentiation.

    S v = 1/2 (J_N v + J_N^T v + sum_l X_l^T H_l X_l v),        H_l = d^2/da_l^2 <g_l, h_l(a_l)>,

with X_l v the tangent of the input a_l of operation h_l along v, and g_l the cotangent of its result for the cotangent y of N
(Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 1994). The H_l are found once. One product is one
pass forwards, that leaves the tangents X_l v behind, and one pass back, that picks them up: two passes through the linear
network, whatever the curvature. Where N is piecewise linear all H_l vanish, and S is the symmetric part of J_N.
"""

import torch
from torch import Tensor

from gahb_theory.jacobians.engines.curvature import Bending
from gahb_theory.jacobians.engines.recorded import FrozenProducts
from gahb_theory.jacobians.engines.recording import Recording

__all__ = ["CurvedProducts"]


class CurvedProducts:
    """S v = S^T v by the recorded network N and its second derivatives.

    Parameters
    ----------
    network
        The products with the Jacobian of N at y.
    recording
        That of N, with its second derivatives.
    y
        The image.

    Attributes
    ----------
    bytes_per_direction
        Memory of one direction on its way through N and back, with the tangents it leaves behind.
    """

    def __init__(self, network: FrozenProducts, recording: Recording, y: Tensor) -> None:
        cotangents: dict[int, Tensor] = {}
        wanted = {bend.output for bend in recording.bends}

        def note(number: int, g: Tensor, owned: bool) -> Tensor:
            if number in wanted:
                cotangents[number] = g.clone()
            return g

        network.pull_through(y, note)
        self._bendings: dict[int, list[tuple[int, Bending]]] = {}
        for bend in recording.bends:
            bending = bend.bending.along(cotangents[bend.output])
            self._bendings.setdefault(bend.target, []).append((bend.source, bending))
        self.network, self._output = network, recording.output
        self._sources = frozenset(bend.source for bend in recording.bends)
        left = sum(torch.Size(recording.shapes[i]).numel() for i in self._sources)
        self.bytes_per_direction = network.bytes_per_direction + left * y.element_size()

    @property
    def largest_value(self) -> int:
        """Numbers in the largest feature map."""
        return self.network.largest_value

    def push(self, v: Tensor) -> Tensor:
        """S v for `v` of shape (batch, *input shape)."""
        tangents = self.network.push_all(v, self._sources)

        def bend(number: int, g: Tensor, owned: bool) -> Tensor:
            for source, bending in self._bendings.get(number, ()):
                g, owned = bending.add(g if owned else g.clone(), tangents[source]), True
            return g

        return (self.network.pull_through(v, bend) + tangents[self._output]) / 2

    def pull(self, u: Tensor) -> Tensor:
        """S u, since S is symmetric."""
        return self.push(u)
