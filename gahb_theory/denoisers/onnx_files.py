"""Networks in ONNX files, run by onnxruntime on the CPU: of any framework, and without derivatives.

    x_hat = f(y, sigma) by the graph in the file,   J v ~ (f(y + h v) - f(y - h v)) / 2h    (`difference_jacobian`)

A file shows how it is called: one input, or a second one for the noise level, whose rank tells whether it is a number, a
vector (n,), a column (n, 1, 1, 1) or a map (n, 1, height, width). What it returns, and in which range, `probe` finds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Adapted, Conditioning, Convention

__all__ = ["OnnxNetwork", "load_onnx"]

DTYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}
NUMPY = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
NO_DERIVATIVES = (
    "a network in an ONNX file has no derivatives for torch; difference_jacobian(f, y, sigma) computes its Jacobian from "
    "values"
)


class OnnxNetwork:
    """The network in an ONNX file as a function of tensors, net(u) or net(u, level).

    Parameters
    ----------
    path
        The file. Its first input are images (n, channels, height, width), its first output too; a second input, if there
        is one, is the noise level or the time.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    FileNotFoundError, ValueError
        If there is no such file, if onnxruntime cannot read it, or if its inputs are others.

    Notes
    -----
    Images must have the precision of the file, mostly single. A file that was exported for a batch of one image is run once
    for each image.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = validate.path(path, "path")
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}")
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError("an ONNX file needs the package onnxruntime: pip install 'gahb-theory[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has classes of its own
            words = " ".join(str(error).split())
            raise ValueError(
                f"{self.path} is damaged or no ONNX file that onnxruntime can run: {words[:100]}"
            ) from error
        self.inputs = self.session.get_inputs()
        images = self.inputs[0] if self.inputs else None
        if images is None or images.type not in DTYPES or len(images.shape) != 4 or len(self.inputs) > 2:
            listed = ", ".join(f"{i.name} {i.type} {i.shape}" for i in self.inputs)
            raise ValueError(
                f"{self.path} must take images (n, channels, height, width), and at most a noise level beside, got {listed}"
            )
        self.dtype = DTYPES[images.type]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes open the file again."""
        return OnnxNetwork, (self.path,)

    @property
    def conditioning(self) -> Conditioning:
        """How the file wants the noise level, as `Convention` names it."""
        if len(self.inputs) == 1:
            given, returned = self.inputs[0].shape[1], self.session.get_outputs()[0].shape
            fixed = len(returned) == 4 and isinstance(given, int) and isinstance(returned[1], int)
            return "map" if fixed and given == returned[1] + 1 else "none"
        shape = self.inputs[1].shape
        if len(shape) == 4:
            return "column" if tuple(shape[2:]) == (1, 1) else "second map"
        if len(shape) > 1:
            raise ValueError(f"the second input of {self.path} must be a noise level, got the shape {shape}")
        return "sigma" if shape else "number"

    def __call__(self, u: Tensor, *level: Any) -> Tensor:
        """Return the first output for images `u`; a request for its derivative is refused."""
        if u.dtype != self.dtype:
            raise TypeError(
                f"the network of {self.path.name} takes {self.dtype}, but the images are {u.dtype}; convert them with "
                f".to({self.dtype})"
            )
        if len(level) != len(self.inputs) - 1:
            raise TypeError(f"{self.path.name} takes {len(self.inputs)} inputs, got {1 + len(level)}")
        return _WithoutDerivative.apply(u, lambda array: self._run(array, *level))  # type: ignore[no-untyped-call]

    def _run(self, u: np.ndarray, *level: Any) -> np.ndarray:
        parts = [u] + [_level(value, self.inputs[1]) for value in level]
        batch = self.inputs[0].shape[0]
        if not isinstance(batch, int) or batch == len(u):
            return self._once(parts)
        if batch != 1:
            raise ValueError(
                f"{self.path.name} takes batches of {batch} images, got {len(u)}; export it with a free batch"
            )
        rows = [
            [part[i : i + 1] if part.ndim and len(part) == len(u) else part for part in parts] for i in range(len(u))
        ]
        return np.concatenate([self._once(row) for row in rows])

    def _once(self, parts: list[np.ndarray]) -> np.ndarray:
        feeds = {each.name: part for each, part in zip(self.inputs, parts, strict=True)}
        return self.session.run([self.session.get_outputs()[0].name], feeds)[0]


def _level(value: Any, wanted: Any) -> np.ndarray:
    """A noise level, or a time, in the type of the file."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    kind = NUMPY.get(wanted.type)
    if kind is None:
        raise ValueError(f"the second input of the file must be numbers, got {wanted.type}")
    if issubclass(kind, np.integer) and (array != np.round(array)).any():
        raise ValueError('the file takes whole times; adapt_diffusion(net, schedule, times="nearest") gives them')
    return array.astype(kind)


class _WithoutDerivative(torch.autograd.Function):
    """A function of arrays that says so when torch asks for its derivative."""

    @staticmethod
    def forward(u: Tensor, run: Callable[[np.ndarray], np.ndarray]) -> Tensor:
        """The values."""
        returned = run(np.ascontiguousarray(u.detach().cpu().numpy()))
        return torch.from_numpy(np.array(returned)).to(u.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is stored."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """There is none."""
        raise RuntimeError(NO_DERIVATIVES)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """There is none."""
        raise RuntimeError(NO_DERIVATIVES)

    @staticmethod
    def vmap(info: Any, in_dims: Any, u: Tensor, run: Any) -> Any:
        """There is none."""
        raise RuntimeError(NO_DERIVATIVES)


def load_onnx(path: str | Path, output: Literal["clean", "residual"] | None = None) -> Adapted:
    """Return the network in an ONNX file as a denoiser, called as its inputs say.

    Parameters
    ----------
    path
        The file.
    output
        "clean", the default, or "residual". For other ranges and predictions give a `Convention` to ``adapt(f.net, ...)``,
        which ``probe(f.net)`` finds.
    """
    net = OnnxNetwork(path)
    f = Adapted(net, Convention("clean" if output is None else output, net.conditioning))
    return f.eval()
