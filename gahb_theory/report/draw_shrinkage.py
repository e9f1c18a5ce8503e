"""The pictures of the experiment on shrinkage in an adapted basis, drawn from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gahb_theory.comparison.quantities import BASES
from gahb_theory.report.draw_analysis import energy_panel, image_panels, shrinkage_panels, spectrum_of
from gahb_theory.report.page import Chart, Eigenvectors, Part, Picture

__all__ = ["shrinkage"]


def shrinkage(results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Part]:
    """Images, eigenvectors, eigenvalues, and energies left out, for each network."""
    pictures: list[Part] = []
    sigma = results["settings"]["sigma"]
    for name in results["networks"]:
        stored = {k.removeprefix(f"{name}/reading/"): v for k, v in arrays.items() if k.startswith(f"{name}/reading/")}
        left = {k.removeprefix("errors/"): v[1:] for k, v in stored.items() if k.startswith("errors/")}
        ordered, best = left.pop("eigenvectors, first M"), left.pop("eigenvectors, best M")
        bases = {"eigenbasis": best} | {key.lower(): value for key, value in left.items()}
        clean, eigenvalues = stored["clean"], stored["eigenvalues"]
        decibels = {key: -10 * np.log10(np.mean((stored[key] - clean) ** 2)) for key in ("noisy", "denoised")}
        images = {"clean": clean} | {f"{key}, {value:.1f} dB": stored[key] for key, value in decibels.items()}
        said = spectrum_of(results["networks"][name])
        title = {"c_alpha": "C^alpha image", "photographs": "photograph"}[name]
        best_basis, best_left = min(((key, v[min(99, len(v) - 1)]) for key, v in bases.items()), key=lambda kv: kv[1])
        above = int((np.abs(stored["coefficients"]) > sigma).sum())
        pictures += [
            Picture(
                f"shrinkage_{name}_images",
                image_panels(images),
                f"A {title}, noisy, and denoised by the network.",
                f"The network lifts the PSNR by {decibels['denoised'] - decibels['noisy']:.1f} dB.",
                f"three images side by side: a {title}, the same under noise, and denoised",
                {key: stored[key] for key in ("clean", "noisy", "denoised")},
            ),
            Eigenvectors(
                f"shrinkage_{name}_eigenvectors",
                f"Eigenvectors of the symmetric part of its Jacobian, by eigenvalue. {said}",
                f"{int((eigenvalues > 0.5).sum())} of {len(eigenvalues)} eigenvalues are above 1/2.",
                stored["atoms"],
                stored["atom_indices"],
                eigenvalues[stored["atom_indices"]],
                stored["coefficients"][stored["atom_indices"]],
                clean,
            ),
            Chart(
                f"shrinkage_{name}_factors",
                shrinkage_panels(eigenvalues, stored["coefficients"], sigma),
                f"Coefficients of the clean image in the eigenvectors; eigenvalues beside the factors of an oracle. {said}",
                f"{above} of {len(eigenvalues)} coefficients of the clean image stand above the noise level.",
            ),
            Chart(
                f"shrinkage_{name}_approximation",
                [energy_panel(bases, ordered, BASES)],
                "Energy that M terms leave out, in the eigenbasis and in fixed bases.",
                f"The best 100 terms leave out least in the {BASES.get(best_basis, best_basis)}: {best_left:.2%}.",
            ),
        ]
    return pictures
