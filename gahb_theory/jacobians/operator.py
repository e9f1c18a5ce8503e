"""The Jacobian of a denoiser at one image, as a linear operator.

A denoiser f that sees the noisy image y has the Jacobian J = df/dy(y), of shape (d_out, d_in) over flattened images. It
holds what the denoiser does around y:

    f(y) = J y = sum_k lambda_k <y, e_k> e_k        if f is homogeneous of order 1 and J is symmetric,
    J = Cov[x | y] / sigma^2                        if f is the posterior mean E[x | y],

(Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020; Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024,
equations 6 and 9). Neither property holds to the letter for a trained network, so both are measured here:
`homogeneity_error` and `asymmetry`. J need not be formed: `matvec` and `rmatvec` give J v and J^T u.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.autograd import NOT_FINITE, AutogradProducts, default_chunk
from gahb_theory.jacobians.singular import SVD

__all__ = ["Jacobian", "Products", "jacobian"]


@runtime_checkable
class Products(Protocol):
    """The two products that make a Jacobian, each on a whole batch of directions."""

    def push(self, v: Tensor, /) -> Tensor:
        """J v for directions `v` of shape (batch, *input shape); returns (batch, *output shape)."""
        ...

    def pull(self, u: Tensor, /) -> Tensor:
        """J^T u for directions `u` of shape (batch, *output shape); returns (batch, *input shape)."""
        ...


class Jacobian:
    """J = df/dy at one image: a linear map from d_in to d_out numbers. Build it with `jacobian`.

    Vectors are flattened images, blocks of vectors are matrices of columns, as in scipy. All results are detached, with
    the dtype and the device of y. Once `matrix` has been called every product uses the matrix, and the graph of f is
    let go.

    Parameters
    ----------
    products
        The engine: anything with `push` and `pull`.
    y
        The image at which f was differentiated, shape (1, channels, height, width).
    output
        f(y), shape (1, ...).
    chunk
        Number of directions in one call of the engine.

    Attributes
    ----------
    shape
        (d_out, d_in).
    input_shape, output_shape
        Shapes of y and of f(y), without the batch axis.
    output
        f(y), shape (1, ...).
    """

    def __init__(
        self, products: Products, y: Float[Tensor, "1 c h w"], output: Float[Tensor, "1 ..."], *, chunk: int
    ) -> None:
        _, channels, height, width = y.shape
        self.input_shape = (channels, height, width)
        self.output_shape = tuple(output.shape[1:])
        self.shape = (output.numel(), y.numel())
        self.output = output
        self.dtype, self.device = y.dtype, y.device
        self.chunk = validate.integer(chunk, "chunk", 1)
        self._y = y
        self._products: Products | None = products
        self._matrix: Tensor | None = None
        self._version = 0

    def __repr__(self) -> str:
        return f"Jacobian(shape={self.shape}, dtype={self.dtype}, device={str(self.device)!r}, chunk={self.chunk})"

    def matvec(self, v: Float[Tensor, "d_in ..."]) -> Float[Tensor, "d_out ..."]:
        """J v for one vector of shape (d_in,), or for a block of columns of shape (d_in, m).

        Raises
        ------
        TypeError, ValueError
            If `v` has another dtype, device or number of rows, or is not finite.
        RuntimeError
            If the parameters of f have changed since, if the derivative of f does not agree with its gradient, or if
            the result is not finite.
        """
        v = self._vectors(v, "v", self.shape[1])
        if self._products is None:
            return self._dense() @ v
        return _columns(self._products.push, v, self.input_shape, self.chunk)

    def rmatvec(self, u: Float[Tensor, "d_out ..."]) -> Float[Tensor, "d_in ..."]:
        """J^T u for one vector of shape (d_out,), or for a block of columns of shape (d_out, m).

        Raises
        ------
        TypeError, ValueError
            If `u` has another dtype, device or number of rows, or is not finite.
        RuntimeError
            If the parameters of f have changed since, or if the result is not finite.
        """
        u = self._vectors(u, "u", self.shape[0])
        if self._products is None:
            return self._dense().mT @ u
        return _columns(self._products.pull, u, self.output_shape, self.chunk)

    def rows(self, indices: Sequence[int] | Tensor) -> Float[Tensor, "k d_in"]:
        """Rows of J, `indices` in [0, d_out): row i holds the weights of the pixels of y in pixel i of the output."""
        listed = indices.tolist() if isinstance(indices, Tensor) else indices
        chosen = torch.as_tensor([validate.integer(i, "row index", 0, self.shape[0] - 1) for i in listed])
        if chosen.numel() == 0:
            raise ValueError(f"indices must name at least one row, each in [0, {self.shape[0]}), got none")
        chosen = chosen.to(self.device)
        return self._rows(chosen) if self._products is not None else self._dense()[chosen]

    def matrix(self) -> Float[Tensor, "d_out d_in"]:
        """The dense matrix J, computed row by row in batches the first time and kept.

        The tensor is shared: clone it before changing it in place. A progress bar appears after two seconds.
        """
        if self._matrix is None:
            self._matrix = self._rows(torch.arange(self.shape[0], device=self.device))
            self._version = self._matrix._version
            self._products = None
        return self._dense()

    def trace(self) -> float:
        """Tr J, exactly. sigma^2 tr J is the expected squared error of a posterior mean, summed over pixels.

        References
        ----------
        Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equation 10.
        """
        self._check_square("the trace")
        return float(self.matrix().diagonal().cpu().double().sum())

    def asymmetry(self) -> float:
        """||J - J^T|| / ||J|| in the Frobenius norm: 0 for a symmetric J, 2 for an antisymmetric one.

        The Jacobian of a posterior mean is symmetric. That of a trained network is not: 0.4 to 0.6 is common.
        """
        self._check_square("the asymmetry")
        matrix = self.matrix()
        size = _frobenius(matrix)
        return _frobenius(matrix - matrix.mT) / size if size > 0 else 0.0

    def homogeneity_error(self) -> float:
        """||J y - f(y)|| / ||f(y)||: 0 to rounding for a network without additive constants.

        References
        ----------
        Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, ICLR 2020; Kadkhodaie et al., ICLR 2024, equation 6.
        """
        output = self.output.flatten()
        error = float((self.matvec(self._y.flatten()) - output).norm())
        size = float(output.norm())
        return error / size if size > 0 else float("inf") if error > 0 else 0.0

    def eigenbasis(self, k: int | None = None) -> Eigenbasis:
        """The k largest eigenvalues and eigenvectors of the symmetric part (J + J^T) / 2; all of them if None.

        See `gahb_theory.jacobians.eigenbasis`, which has more settings.
        """
        from gahb_theory.jacobians.spectra import eigenbasis

        return eigenbasis(self, k)

    def svd(self, k: int | None = None) -> SVD:
        """The k largest singular values and vectors, J = sum_k values[k] left[k] right[k]^T; all of them if None.

        See `gahb_theory.jacobians.svd`, which has more settings.
        """
        from gahb_theory.jacobians.spectra import svd

        return svd(self, k)

    def to_scipy(self) -> Any:
        """The same map as a `scipy.sparse.linalg.LinearOperator`, on numpy arrays in single or double precision."""
        import numpy as np
        from scipy.sparse.linalg import LinearOperator

        precision = torch.float64 if self.dtype == torch.float64 else torch.float32

        def on_arrays(product: Callable[[Tensor], Tensor]) -> Callable[[np.ndarray], np.ndarray]:
            def call(v: np.ndarray) -> np.ndarray:
                block = torch.tensor(np.ascontiguousarray(v)).to(self.dtype).to(self.device)
                return product(block).cpu().to(precision).numpy()

            return call

        forward, backward = on_arrays(self.matvec), on_arrays(self.rmatvec)
        return LinearOperator(
            self.shape,
            dtype=np.float64 if precision == torch.float64 else np.float32,
            matvec=forward,
            rmatvec=backward,
            matmat=forward,
            rmatmat=backward,
        )

    def _rows(self, indices: Tensor) -> Tensor:
        """Rows of J by reverse mode; the one-hot cotangents exist for one chunk at a time."""
        assert self._products is not None
        size = _even(len(indices), self.chunk)
        bar = tqdm(total=len(indices), desc="Jacobian", unit="row", delay=2, leave=False, disable=None)
        with torch.inference_mode(False), bar as progress:
            rows = torch.empty(len(indices), self.shape[1], dtype=self.dtype, device=self.device)
            for part, target in zip(torch.split(indices, size), torch.split(rows, size), strict=True):
                cotangents = torch.zeros(size, self.shape[0], dtype=self.dtype, device=self.device)
                cotangents[torch.arange(len(part), device=self.device), part] = 1
                target.copy_(self._products.pull(cotangents.reshape(size, *self.output_shape)).flatten(1)[: len(part)])
                progress.update(len(part))
        return rows

    def _dense(self) -> Tensor:
        assert self._matrix is not None
        if self._matrix._version != self._version:
            raise RuntimeError(
                "the matrix of this Jacobian was changed in place after it was computed; "
                "call jacobian(f, y, sigma) again, and change J.matrix().clone() instead"
            )
        return self._matrix

    def _vectors(self, v: Tensor, name: str, length: int) -> Tensor:
        if not isinstance(v, Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(v).__name__}; J.to_scipy() takes numpy arrays")
        if v.dtype != self.dtype:
            raise TypeError(f"{name} is {v.dtype}, but the Jacobian is {self.dtype}; use {name}.to({self.dtype})")
        if v.device != self.device:
            raise ValueError(f"{name} is on {v.device}, but the Jacobian is on {self.device}; use {name}.to(device)")
        if v.ndim not in (1, 2) or v.shape[0] != length or v.numel() == 0:
            raise ValueError(
                f"{name} must have shape ({length},), or ({length}, m) for a block of m columns, got {tuple(v.shape)}; "
                f"flatten an image with {name}.flatten()"
            )
        return validate.finite(v.detach(), name)

    def _check_square(self, what: str) -> None:
        if self.shape[0] != self.shape[1]:
            raise ValueError(
                f"{what} needs a square Jacobian, got shape {self.shape}, from images {self.input_shape} to "
                f"{self.output_shape}; use svd(), or a denoiser whose output has the shape of its input"
            )


def jacobian(f: Denoiser, y: Float[Tensor, "1 c h w"], sigma: float | Tensor, *, chunk: int | None = None) -> Jacobian:
    """The Jacobian of the denoiser `f` at the noisy image `y`, by automatic differentiation.

    Nothing is computed but f(y) and one gradient, which tests the promises on f below. `f` is not touched: neither its
    mode, nor its parameters, their gradients and flags.

    Parameters
    ----------
    f
        Any denoiser f(y, sigma) that torch can differentiate with respect to y, in eval mode, deterministic, and which
        treats each image of a batch on its own. Its output may have another shape than its input.
    y
        One noisy image, shape (1, channels, height, width), floating point and finite, with the dtype and the device of
        f.
    sigma
        Noise level passed to f, in (0, 10].
    chunk
        Number of copies of y that go through f at once. The default keeps the feature maps of a typical network in the
        cache of a CPU (1 to 64 copies) and fills an accelerator (up to 256); lower it if memory runs out.

    Returns
    -------
    An operator of shape (d_out, d_in).

    Raises
    ------
    TypeError
        If f is not callable; if y is not floating point; if the parameters or the output of f have another dtype than
        y, or the output is no tensor.
    ValueError
        If y is not one finite image; if sigma or chunk is out of range; if the parameters of f are on another device
        than y; if the batch axis is lost; if f(y) or its gradient is not finite.
    RuntimeError
        If f is in train mode, is random, mixes the images of a batch, or does not depend on y in a way torch can
        follow.

    References
    ----------
    Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, Robust and interpretable blind image denoising via bias-free
    convolutional neural networks, ICLR 2020.

    Examples
    --------
    The Jacobian of a moving average is the average itself:

    >>> import torch
    >>> def f(y, sigma):
    ...     return torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> J = jacobian(f, torch.rand(1, 1, 8, 8), sigma=0.1)
    >>> J.shape
    (64, 64)
    >>> round(J.trace(), 3)
    7.111
    >>> J.homogeneity_error() < 1e-6
    True
    """
    if not callable(f):
        raise TypeError(f"f must be a denoiser that can be called as f(y, sigma), got {type(f).__name__}")
    validate.one_image(y, "y")
    level = validate.sigma_level(cast(float, sigma))
    chunk = default_chunk(y) if chunk is None else validate.integer(chunk, "chunk", 1)
    with torch.inference_mode(False):
        point = y.detach().clone(memory_format=torch.contiguous_format)
        products = AutogradProducts(f, point, level, probes=min(2, chunk))
    return Jacobian(products, point, products.output, chunk=chunk)


def _even(count: int, chunk: int) -> int:
    """Size of the equal batches into which `count` directions split, so that one graph serves them all."""
    return -(-count // -(-count // chunk))


def _columns(product: Callable[[Tensor], Tensor], v: Tensor, shape: tuple[int, ...], chunk: int) -> Tensor:
    """Apply a batched product to the columns of `v`; the last batch is filled up with zeros."""
    vectors = v.reshape(v.shape[0], -1).mT
    size = _even(len(vectors), chunk)
    results = []
    with torch.inference_mode(False):
        for part in torch.split(vectors, size):
            padded = torch.nn.functional.pad(part, (0, 0, 0, size - len(part)))
            results.append(product(padded.reshape(size, *shape)).reshape(size, -1)[: len(part)])
        columns = torch.cat(results).mT
    if not bool(torch.isfinite(columns).all()):
        raise RuntimeError(NOT_FINITE)
    return columns if v.ndim == 2 else columns[:, 0]


def _frobenius(matrix: Tensor) -> float:
    """Frobenius norm, summed over the rows in double precision."""
    return float(torch.linalg.vector_norm(matrix, dim=1).cpu().double().norm())
