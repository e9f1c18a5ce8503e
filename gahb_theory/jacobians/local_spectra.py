"""Spectra of a window of a large image: the eigenbasis of the block of the Jacobian between the pixels of the window.

With P the restriction of images to a window W, the block and its symmetric part are

    B = P J P^T = J[W, W],        S = (B + B^T) / 2 = sum_k lambda_k e_k e_k^T,

and lambda_k says how much of a pattern e_k inside the window the denoiser keeps there. B depends on the pixels that the
receptive field of W reaches, and no others: computed on a crop C of the image that holds them all, it is exact, B_C = B. On a
smaller crop it is not, and the error is measured with random directions v of unit variance in the window, by products with
the whole image:

    ||S - S_C||_F^2 = E ||(S - S_C) v||^2,        |lambda_k(S) - lambda_k(S_C)| <= ||S - S_C||_F        (Weyl 1912).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.construction import jacobian
from gahb_theory.jacobians.engines.autograd import probe_direction
from gahb_theory.jacobians.engines.linear_maps import Window
from gahb_theory.jacobians.engines.windowed_rows import WindowedProducts
from gahb_theory.jacobians.linear_operator import LinearOperator, check_operator
from gahb_theory.jacobians.spectra import eigenbasis
from gahb_theory.jacobians.windows import checked_window, receptive_window
from gahb_theory.precision import full_precision, plain_attention
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LocalSpectrum", "local_eigenbasis", "window_block"]


@dataclass(frozen=True, eq=False, repr=False)
class LocalSpectrum(Result):
    """The eigenbasis of a window of a large image, and the error of having cut out its surroundings.

    Attributes
    ----------
    basis
        Eigenvalues and eigenvectors of S, as images of the window.
    window, crop
        The pixels of the window, and of the part of the image on which S was computed.
    exact
        Whether the crop holds all that the window depends on, known from the layers; the error is then 0.
    shift
        ||S - S_C||_F: no eigenvalue is wrong by more. 0 where `exact`, else measured.
    shift_error
        Standard error of `shift` over the probes.
    relative
        `shift` over ||S_C||_F.
    value_error
        ||f(y) - f(y_C)|| / ||f(y)|| on the window, measured.
    probes
        Number of random directions; 0 where `exact`.
    """

    basis: Eigenbasis
    window: Window
    crop: Window
    exact: bool
    shift: float
    shift_error: float
    relative: float
    value_error: float
    probes: int

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the eigenvalues, and how far each can be wrong; `basis.plot()` draws the eigenvectors."""
        from gahb_theory.report.draw_results import draw_spectra

        values = self.basis.eigenvalues.cpu()
        ax = draw_spectra({"values": values}, ax, "eigenvalue of S")
        ax.fill_between(range(1, len(values) + 1), values - self.shift, values + self.shift, alpha=0.2, linewidth=0)
        return ax


class _Restricted:
    """Products with the block of a Jacobian between the pixels of a window."""

    def __init__(self, J: LinearOperator, window: Window) -> None:
        self.J, self.window = J, window

    def push(self, v: Tensor) -> Tensor:
        """B v for `v` of shape (batch, *shape of the window)."""
        whole = self.J.matvec(self._spread(v, self.J.input_shape))
        return _on(whole.mT.reshape(-1, *self.J.output_shape), self.window)

    def pull(self, u: Tensor) -> Tensor:
        """B^T u."""
        whole = self.J.rmatvec(self._spread(u, self.J.output_shape))
        return _on(whole.mT.reshape(-1, *self.J.input_shape), self.window)

    def _spread(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        whole = x.new_zeros(len(x), *shape)
        _on(whole, self.window).copy_(x)
        return whole.flatten(1).mT


class _RestrictedWindows(_Restricted):
    """The same for an engine that computes rows on the pixels they reach."""

    def __init__(self, J: LinearOperator, window: Window, engine: WindowedProducts) -> None:
        super().__init__(J, window)
        self.engine = engine

    @property
    def steps(self) -> int:
        """Number of linear maps in one product."""
        return self.engine.steps

    def pull_window(self, u: Tensor, window: Window) -> tuple[Tensor, Window]:
        """B^T u for `u` on a part of the window, and the part on which it does not vanish."""
        values, reached = self.engine.pull_window(u, self._outside(window))
        inside = self.reached(window)
        (top, bottom), (left, right) = self._outside(inside)
        (above, _), (before, _) = reached
        return values[:, :, top - above : bottom - above, left - before : right - before], inside

    def work(self, window: Window) -> int:
        """Operations of `pull_window` for one direction."""
        return self.engine.work(self._outside(window))

    def reached(self, window: Window) -> Window:
        """The part of the window on which a part of it depends."""
        spans = zip(self.engine.reached(self._outside(window)), self.window, strict=True)
        rows, columns = (
            (min(max(a, start), stop) - start, min(max(b, start), stop) - start) for (a, b), (start, stop) in spans
        )
        return rows, columns

    def _outside(self, window: Window) -> Window:
        """A part of the window in the pixels of the image."""
        rows, columns = ((a + start, b + start) for (a, b), (start, _) in zip(window, self.window, strict=True))
        return rows, columns


def window_block(J: LinearOperator, window: Window) -> LinearOperator:
    """The block J[window, window] as a linear operator on images of the window.

    Its products are those of J between zeros outside; its rows, diagonal and trace cost what they reach.

    Parameters
    ----------
    J
        The Jacobian of a denoiser that keeps the height and width of images.
    window
        ((top, bottom), (left, right)) in pixels.

    Raises
    ------
    ValueError
        If the window does not lie in the image, or if f changes the size of images.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> gains = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> J = jacobian(lambda y, sigma: gains * y, torch.rand(1, 1, 4, 4), 0.1)
    >>> window_block(J, ((1, 3), (0, 2))).diagonal()
    tensor([4., 5., 8., 9.])
    """
    check_operator(J)
    window = checked_window(window, J.output_shape)
    if J.output_shape[1:] != J.input_shape[1:]:
        raise ValueError(
            f"the block of a window needs a denoiser that keeps the size of images, got {J.input_shape} -> {J.output_shape}"
        )
    (top, bottom), (left, right) = window
    engine: Any = J._products
    products = _RestrictedWindows(J, window, engine) if isinstance(engine, WindowedProducts) else _Restricted(J, window)
    shape = (J.output_shape[0], bottom - top, right - left)
    return LinearOperator(products, _on(J._y, window), shape, chunk=J.chunk)


@full_precision
def local_eigenbasis(
    f: Denoiser,
    y: Float[Tensor, "1 c h w"],
    sigma: float | Tensor,
    window: Window,
    k: int | None = None,
    *,
    margin: int = 32,
    multiple: int = 8,
    probes: int = 8,
) -> LocalSpectrum:
    """The eigenbasis of a window of a large image, computed on a crop, with the error of the crop.

    Parameters
    ----------
    f
        A denoiser of images of any size, as in `gahb_theory.jacobian`.
    y
        One noisy image.
    sigma
        Its noise level.
    window
        ((top, bottom), (left, right)) in pixels.
    k
        Number of eigenpairs; all if None.
    margin
        Pixels of the image around the window that are taken along. Where they hold the receptive field the result is exact.
    multiple
        The crop starts and ends at multiples of this number of pixels or at the border of the image, since a network that
        samples every second pixel three times sees the same grid only then.
    probes
        Random directions by which the error is measured where the result is not known to be exact: two products with the
        whole image for each.

    Returns
    -------
    A `LocalSpectrum`.

    Raises
    ------
    ValueError
        If the window does not lie in the image, or if a number is out of range; else as `gahb_theory.jacobian`.

    See Also
    --------
    window_block, gahb_theory.jacobians.window_rows, gahb_theory.jacobians.eigenbasis

    Examples
    --------
    >>> import torch
    >>> blur = lambda y, sigma: torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> local = local_eigenbasis(blur, torch.rand(1, 1, 64, 64), 0.1, ((30, 34), (30, 34)), k=2, margin=8)
    >>> local.exact, local.shift, local.basis.image_shape
    (True, 0.0, (1, 4, 4))
    """
    validate.denoiser(f)
    validate.one_image(y, "y")
    window = checked_window(window, tuple(y.shape[1:]))
    margin, multiple = validate.integer(margin, "margin", 0), validate.integer(multiple, "multiple", 1)
    probes = validate.integer(probes, "probes", 2)
    rows, columns = (_widened(span, size, margin, multiple) for span, size in zip(window, y.shape[2:], strict=True))
    crop = (rows, columns)
    part = _on(y, crop)
    (top, bottom), (left, right) = window
    inside = (top - rows[0], bottom - rows[0]), (left - columns[0], right - columns[0])
    J = jacobian(f, part, sigma)
    block = window_block(J, inside)
    with torch.no_grad(), plain_attention():
        value = _on(f(y.clone(), sigma), window)
    size = float(value.norm())
    value_error = float((_on(J.output, inside) - value).norm()) / size if size > 0 else 0.0
    whole = crop == ((0, y.shape[2]), (0, y.shape[3]))
    engine: Any = J._products
    bounded = isinstance(engine, WindowedProducts) and _holds(receptive_window(J, inside), crop, y)
    exact = whole or (bounded and value_error <= torch.finfo(y.dtype).eps ** 0.5)
    shift = error = relative = 0.0
    if not exact:
        shift, error, relative = _distance(block, window_block(jacobian(f, y, sigma), window), probes)
    return LocalSpectrum(
        basis=eigenbasis(block, k),
        window=window,
        crop=crop,
        exact=exact,
        shift=shift,
        shift_error=error,
        relative=relative,
        value_error=value_error,
        probes=0 if exact else probes,
    )


def _distance(cut: LinearOperator, whole: LinearOperator, probes: int) -> tuple[float, float, float]:
    """Frobenius distance of the symmetric parts, its standard error, and the distance relative to the first."""
    v = torch.stack([probe_direction(cut._y.flatten(), 10 + i) for i in range(probes)], dim=1)
    of_cut, of_whole = ((B.matvec(v) + B.rmatvec(v)).double() / 2 for B in (cut, whole))
    squares = (of_whole - of_cut).square().sum(dim=0)
    shift = float(squares.mean().sqrt())
    error = float(squares.std()) / probes**0.5 / (2 * shift) if shift > 0 else 0.0
    size = float(of_cut.square().sum(dim=0).mean().sqrt())
    return shift, error, shift / size if size > 0 else 0.0


def _holds(reached: Window, crop: Window, y: Tensor) -> bool:
    """Whether the pixels reached end inside the crop wherever the image goes on behind it."""
    ends = zip(reached, crop, y.shape[2:], strict=True)
    return all((a > 0 or start == 0) and (b < stop - start or stop == size) for (a, b), (start, stop), size in ends)


def _widened(span: tuple[int, int], size: int, margin: int, multiple: int) -> tuple[int, int]:
    start, stop = max(0, span[0] - margin), min(size, span[1] + margin)
    return start // multiple * multiple, min(size, -(-stop // multiple) * multiple)


def _on(x: Tensor, window: Window) -> Tensor:
    (top, bottom), (left, right) = window
    return x[:, :, top:bottom, left:right]
