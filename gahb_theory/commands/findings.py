"""What a command has found, in a few lines computed from its numbers."""

from pathlib import Path

from gahb_theory import stored_results
from gahb_theory.comparison import ImageAnalysis, basis_label

__all__ = ["found_at_image", "found_by_tour"]


def found_at_image(a: ImageAnalysis) -> str:
    """Three lines on a denoiser at one image; the last says which matrix the spectrum is of, and what it reproduces."""
    oracles = {name: value for name, value in a.oracle_psnr.items() if name != "eigenbasis"}
    best = max(oracles, key=lambda name: oracles[name])
    gap = a.psnr_denoised - oracles[best]
    verdict = f"{abs(gap):.1f} dB {'above' if gap >= 0 else 'below'} the oracle in the {basis_label(best)}"
    return (
        f"PSNR {a.psnr_noisy:.2f} -> {a.psnr_denoised:.2f} dB at sigma {a.sigma:g}, {verdict}, the best of the fixed bases\n"
        f"{_trace(a)}; {a.eigenvalues_above_half} eigenvalues above 1/2, from {a.smallest_eigenvalue:.2f} to "
        f"{a.largest_eigenvalue:.2f}\n"
        f"{a.reproduction}"
    )


def found_by_tour(run: Path) -> list[str]:
    """A line for each denoiser of a tour; none where there are no numbers."""
    arrays = stored_results.read_arrays(run / "arrays.npz")
    cases = dict.fromkeys(key.split("/analysis/")[0] for key in arrays if "/analysis/" in key)
    lines = []
    for case in cases:
        a = stored_results.from_arrays(ImageAnalysis, arrays, f"{case}/analysis")
        first = found_at_image(a).splitlines()[0]
        lines.append(f"{case}: {first}; {_trace(a)}")
    return lines


def _trace(a: ImageAnalysis) -> str:
    """Both sides of equation (10) at one image."""
    return f"tr J {a.effective_dimension:.0f} of {a.clean.size}, squared error {a.error_over_variance:.0f} sigma^2"
