"""What the numbers of a result are called, and what all results can do.

Results are keyed by identifiers; the words and units of tables and figures stand here alone.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gahb_theory import runs

__all__ = ["BASES", "QUANTITIES", "Quantity", "Result", "basis_label", "format_value", "table_rows"]


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


class Result:
    """A frozen dataclass of numbers and arrays: it prints one line for each number, and is written as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, strings, lists and dictionaries."""
        return _plain(self)

    def save(self, path: str | Path) -> Path:
        """Write all fields as JSON, atomically; `gahb_theory.runs.read_json` reads them."""
        return runs.write_json(path, self.to_dict())

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


def format_value(value: float | int | str) -> str:
    """A number with four digits."""
    if isinstance(value, str):
        return value
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
