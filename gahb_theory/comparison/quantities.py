"""Labels and units of the numbers of a comparison.

Results are keyed by identifiers; the words and units of tables and figures stand here alone.
"""

from dataclasses import fields
from typing import Any, NamedTuple

from gahb_theory import stored_results
from gahb_theory.stored_results import format_value

__all__ = ["BASES", "QUANTITIES", "Quantity", "Result", "basis_label", "table_rows"]


class Quantity(NamedTuple):
    """The label of a number and its unit, empty where it has none."""

    label: str
    unit: str = ""


QUANTITIES = {
    "sigma": Quantity("noise level sigma"),
    "psnr_noisy": Quantity("PSNR of the noisy image", "dB"),
    "psnr_denoised": Quantity("PSNR of the denoised image f(y)", "dB"),
    "psnr_shrinkage": Quantity("PSNR of the shrinkage S y, S = (J + J')/2", "dB"),
    "effective_dimension": Quantity("effective dimension tr J"),
    "squared_norm": Quantity("squared norm ||J||^2"),
    "eigenvalues_above_half": Quantity("eigenvalues of S above 1/2"),
    "largest_eigenvalue": Quantity("largest eigenvalue of S"),
    "smallest_eigenvalue": Quantity("smallest eigenvalue of S"),
    "asymmetry": Quantity("asymmetry ||J - J'|| / ||J||"),
    "homogeneity_error": Quantity("homogeneity error ||J y - f(y)|| / ||f(y)||"),
    "atoms": Quantity("atoms"),
    "oracle_mse": Quantity("oracle risk"),
    "error": Quantity("error of the denoiser"),
    "excess": Quantity("error less the oracle risk"),
    "terms": Quantity("terms for 99 % of the energy"),
    "energy_area": Quantity("area under the energy curve"),
    "exponent": Quantity("decay exponent"),
    "trace": Quantity("dimension, trace"),
    "above_half": Quantity("dimension, above half"),
    "energy": Quantity("dimension, energy"),
    "participation": Quantity("dimension, participation"),
    "entropy": Quantity("dimension, entropy"),
    "band_energy": Quantity("energy in the band of the contour"),
    "alignment": Quantity("alignment with it"),
    "frequency": Quantity("frequency along it"),
    "overlap": Quantity("overlap"),
    "weighted_overlap": Quantity("weighted overlap"),
    "response": Quantity("response to atoms below the noise"),
    "angle": Quantity("median principal angle", "degrees"),
    "coherence": Quantity("coherence"),
    "effective_atoms": Quantity("atoms one is spread over"),
    "procrustes": Quantity("Procrustes distance in clusters"),
    "images": Quantity("test images"),
}
"""Label and unit of each number, by the name of its field."""

BASES = {"eigenbasis": "eigenbasis", "wavelet": "wavelet", "dct": "DCT", "pca": "PCA"}
"""Labels of the bases that `reference_bases` returns, and of the eigenbasis."""


def basis_label(name: str) -> str:
    """The label of a basis; a name that is not among `BASES` is its own."""
    return BASES.get(name, name)


class Result(stored_results.Result):
    """A result whose numbers have labels and units."""

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}", *(f"  {label:46}{value}" for label, value in table_rows(self))]
        return "\n".join(line.rstrip() for line in lines)


def table_rows(result: Any) -> list[tuple[str, str]]:
    """Label and value of each number of a result, in the order of its fields."""
    rows = []
    for field in fields(result):
        value = getattr(result, field.name)
        if field.name in QUANTITIES and isinstance(value, int | float | str):
            label, unit = QUANTITIES[field.name]
            rows.append((label, f"{format_value(value)} {unit}".rstrip()))
    return rows
