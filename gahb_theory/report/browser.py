"""The eigenvectors of a Jacobian as the page shows them: small pictures with eigenvalue and coefficient, one enlarged.

lambda_k   eigenvalue of the symmetric part of the Jacobian, the shrinkage factor
c_k        coefficient <x, e_k> of the clean image x
cycles     (1 / 2 pi) ||grad e_k|| / ||e_k||, mean frequency in cycles across the image
"""

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb_theory.report.draw_eigenvectors import eigenvector_figure
from gahb_theory.report.svg import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image as PILImage

__all__ = ["Eigenvectors", "cycles", "drawn_eigenvectors"]

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, eq=False)
class Eigenvectors:
    """Eigenvectors to look through.

    Parameters
    ----------
    name, caption, reading
        As of every figure.
    atoms
        Eigenvectors, shape (k, c, h, w).
    ranks
        Their ranks from 0, shape (k,).
    eigenvalues, coefficients
        Of each, shape (k,).
    clean
        The clean image, shape (c, h, w).
    coverage
        Where the image is inside its contour, from 0 to 1, shape (h, w); the contour is drawn where it is 1/2. None
        without a contour.
    """

    name: str
    caption: str
    reading: str
    atoms: np.ndarray
    ranks: np.ndarray
    eigenvalues: np.ndarray
    coefficients: np.ndarray
    clean: np.ndarray
    coverage: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers of the figure by name."""
        names = ("ranks", "eigenvalues", "coefficients", "atoms", "clean")
        return {name: getattr(self, name) for name in names}


def cycles(atom: np.ndarray) -> float:
    """Mean frequency of an image (c, h, w) in cycles across it, by differences of neighbouring pixels.

    Examples
    --------
    >>> x = np.arange(64) / 64
    >>> wave = np.cos(2 * np.pi * 5 * x)[None, None, :] * np.ones((1, 64, 1))
    >>> round(cycles(wave), 1)
    5.0
    """
    along = sum(float((np.diff(atom, axis=axis) ** 2).mean()) for axis in (1, 2) if atom.shape[axis] > 1)
    energy = float((atom**2).mean())
    return 0.0 if energy == 0 else float(np.sqrt(along / energy) * max(atom.shape[1:]) / (2 * np.pi))


def drawn_eigenvectors(part: Eigenvectors) -> tuple["Figure", dict[str, Any]]:
    """The figure of all for its file, and what the page shows."""
    figure = eigenvector_figure(part.atoms, part.ranks, part.eigenvalues, part.clean, part.coverage)
    atoms = []
    for atom, k, eigenvalue, c in zip(part.atoms, part.ranks, part.eigenvalues, part.coefficients, strict=True):
        name = f"λ{str(k + 1).translate(SUBSCRIPTS)} = {eigenvalue:.3f}".replace("-", "−")
        coefficient = number(float(f"{c:.3g}"))
        oscillates = f"about {cycles(atom):.1f} cycles across the image"
        atoms.append(
            {
                "eigenvalue": name,
                "coefficient": f"c = {number(float(f'{c:.2g}'))}",  # no wider than its picture
                "picture": _signed_png(atom),
                "alt": f"eigenvector {k + 1}: red and blue, {oscillates}; eigenvalue {eigenvalue:.3f}, coefficient {c:.3g}",
                "said": f"eigenvector {k + 1}: {name}, coefficient ⟨x, eₖ⟩ = {coefficient}, {oscillates}",
            }
        )
    height, width = part.clean.shape[1:]
    return figure, {
        "atoms": atoms,
        "clean": _grey_png(part.clean),
        "contour": "" if part.coverage is None else _contour(part.coverage),
        "box": f"-0.5 -0.5 {width} {height}",
    }


def _contour(coverage: np.ndarray) -> str:
    """The level line 1/2 as the path of an SVG, in pixels."""
    import contourpy

    lines = contourpy.contour_generator(z=coverage).lines(0.5)
    return "".join("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in np.asarray(line)) for line in lines)


def _signed_png(atom: np.ndarray) -> str:
    """Blue negative, white zero, red positive, in 256 colours."""
    from matplotlib import colormaps
    from PIL import Image

    mean = atom.mean(axis=0)
    bound = float(np.quantile(np.abs(mean), 0.995)) or 1.0
    picture = Image.fromarray((255 * ((mean / bound).clip(-1, 1) / 2 + 0.5)).round().astype(np.uint8), mode="P")
    picture.putpalette(colormaps["RdBu_r"](np.arange(256), bytes=True)[:, :3].tobytes())
    return _png(picture)


def _grey_png(x: np.ndarray) -> str:
    from PIL import Image

    levels = (255 * x.clip(0, 1)).round().astype(np.uint8)
    return _png(Image.fromarray(levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0))))


def _png(picture: "PILImage") -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
