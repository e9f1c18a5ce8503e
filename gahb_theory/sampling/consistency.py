"""The image nearest to an estimate that has given linear measurements: f(y) + A^+ (m - A f(y))."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gahb_theory.sampling.coarse_to_fine import Correction
from gahb_theory.sampling.measurements import Inverse, Measurement, check_measurement, pseudo_inverse

__all__ = ["Consistency"]


@dataclass(frozen=True, eq=False)
class Consistency:
    """What n samples must be consistent with.

    Parameters
    ----------
    measurement
        A.
    inverse
        A^+.
    known
        A^+ m, what the measurements say of each image, shape (n, channels, height, width).
    """

    measurement: Measurement
    inverse: Inverse
    known: Float[Tensor, "n c h w"]

    @classmethod
    def with_measurements(cls, measurement: Measurement, measured: Tensor) -> "Consistency":
        """Find the pseudo-inverse and apply it to the measurements, n first."""
        check_measurement(measurement)
        inverse = pseudo_inverse(measurement, measurement.A_adjoint(measured[:1]))
        return cls(measurement, inverse, inverse(measured))

    def nearest(self, x: Float[Tensor, "n c h w"], known: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The images nearest to x with these measurements."""
        return x - self.inverse(self.measurement.A(x)) + known

    def of(self, indices: Tensor) -> Correction:
        """The correction of a batch of these samples, numbered within all n."""
        known = self.known[indices.to(self.known.device)]
        return lambda x, rows: self.nearest(x, known[rows])
