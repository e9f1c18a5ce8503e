"""Calls of every public name with one bad argument, and what may come of them.

A call is (target, argument, value): all arguments are good but one. Allowed is a right result, finite where it holds
numbers, or a ValueError or TypeError (RuntimeError for a train mode or a solver) that names the argument in the words of
the library; exceptions of the user's own functions pass through. `python tests/fuzzing.py [--only NAME]` tries all calls
and prints those that end otherwise.
"""

import argparse
import inspect
import math
import re
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch
from PIL import Image

import gahb_theory as gt

LONGEST = 400
SECONDS = 5.0
"""Of processor time, so that a busy machine makes no call hang."""
FOREIGN = (
    "has no attribute",
    "not implemented for",
    "Boolean value of Tensor",
    "must be real number",
    "unsupported operand",
    "object is not",
    "is not iterable",
    "expected scalar type",
    "got an unexpected keyword",
    "only integer tensors",
    "not supported between",
    "invalid combination of arguments",
    "can't allocate memory",
    "truth value",
    "required positional argument",
    "cannot unpack",
    "must be the same length",
    "size of tensor",
    "mat1 and mat2",
    "too large to convert",
    "convert float",
)


class UserError(Exception):
    """What a function of the user raises."""


class Hang(BaseException):
    """A call took too long."""


def _raises(*_: Any, **__: Any) -> Any:
    raise UserError("mine")


TENSOR = torch.full((2, 1, 16, 16), 0.5)

PLAIN: dict[str, Any] = {
    "True": True,
    "np.True_": np.bool_(True),
    "1j": 1j,
    "np.complex64": np.complex64(1j),
    "nan": math.nan,
    "inf": math.inf,
    "np.nan": np.float32("nan"),
    "-1": -1,
    "-0.5": -0.5,
    "0": 0,
    "0.5": 0.5,
    "2**31": 2**31,
    "2**128": 2**128,
    "1e-46": 1e-46,
    "np.float32": np.float32(0.3),
    "np.int64": np.int64(2),
    "'x'": "x",
    "None": None,
    "b''": b"",
    "[]": [],
    "()": (),
    "{}": {},
    "object": object(),
    "[None]": [None],
    "[True]": [True],
    "[nan]": [math.nan],
    "['x']": ["x"],
}
TENSORS: dict[str, Any] = {
    "bool tensor": TENSOR > 0,
    "complex tensor": TENSOR.to(torch.complex64),
    "sparse tensor": TENSOR.to_sparse(),
    "meta tensor": TENSOR.to("meta"),
    "int tensor": TENSOR.long(),
    "nan tensor": TENSOR * math.nan,
    "inf tensor": TENSOR * math.inf,
    "empty tensor": TENSOR[:0],
    "vector": torch.full((3,), 0.5),
    "nan vector": torch.full((3,), math.nan),
    "3 axes": TENSOR[0],
    "5 axes": TENSOR[None],
    "0-d bool": torch.tensor(True),
    "0-d complex": torch.tensor(1j),
    "0-d nan": torch.tensor(math.nan),
    "0-d meta": torch.tensor(0.5, device="meta"),
    "array": np.full((2, 1, 16, 16), 0.5),
    "half tensor": TENSOR.half(),
    "double tensor": TENSOR.double(),
    "0-d tensor": torch.tensor(0.5),
}
FUNCTIONS: dict[str, Any] = {
    "returns nan": lambda y, *_: y * math.nan,
    "returns int": lambda y, *_: torch.zeros_like(y, dtype=torch.long),
    "returns complex": lambda y, *_: y.to(torch.complex64),
    "returns (n,h,w)": lambda y, *_: y[:, 0],
    "returns a number": lambda *_: 0.5,
    "returns None": lambda *_: None,
    "raises": _raises,
}
VALUES = PLAIN | TENSORS | FUNCTIONS

NEVER_A_NUMBER = set(VALUES) - {
    "-1",
    "-0.5",
    "0",
    "0.5",
    "2**31",
    "2**128",
    "1e-46",
    "np.float32",
    "np.int64",
    "0-d tensor",
}
WRONG_TENSORS = {"bool tensor", "complex tensor", "sparse tensor", "meta tensor", "nan tensor", "inf tensor"}
WRONG_TENSORS |= {"nan vector", "0-d bool", "0-d complex", "0-d nan", "0-d meta", "empty tensor"}
NO_TENSORS = set(PLAIN) | set(FUNCTIONS)
REFUSED: dict[str, set[str]] = {
    "number": NEVER_A_NUMBER,
    "limit": NEVER_A_NUMBER - {"inf"},
    "integer": NEVER_A_NUMBER | {"0.5", "-0.5", "np.float32", "0-d tensor", "1e-46", "-1"},
    "seed": NEVER_A_NUMBER | {"0.5", "-0.5", "np.float32", "0-d tensor", "1e-46", "-1", "2**128"},
    "sigma": NEVER_A_NUMBER | {"-1", "-0.5"},
    "sigma or sigmas": (NEVER_A_NUMBER | {"-1", "-0.5"}) - {"vector"},
    "images": NO_TENSORS | WRONG_TENSORS | {"int tensor", "vector", "3 axes", "5 axes", "0-d tensor"},
    "tensor": NO_TENSORS | WRONG_TENSORS | {"array"},
    "tensor or none": (NO_TENSORS | WRONG_TENSORS | {"array"}) - {"empty tensor"},
    "levels": set(VALUES) - {"vector", "0.5", "2**31", "1e-46", "np.float32", "np.int64"},  # a number is one level
    "array": (set(PLAIN) | WRONG_TENSORS | set(FUNCTIONS)) - {"0", "0.5", "2**31", "1e-46", "np.float32", "np.int64"},
    "denoiser": set(VALUES) - {"raises"},
    "map": set(VALUES) - {"raises", "returns (n,h,w)"},  # a Jacobian may lead from images to other shapes
    "function": set(PLAIN) | set(TENSORS),
    "object": set(VALUES),
    "word": set(VALUES),
    "shape": set(VALUES),
    "any": set(),
    "dtype": set(VALUES),
    "flag": set(),
    "path": {"True", "1j", "nan", "object", "{}", "[]", "-1"},
}


@dataclass(frozen=True)
class Target:
    """A callable, with a kind and a good value for each of its arguments."""

    name: str
    call: Callable[..., Any]
    kinds: dict[str, str]
    good: dict[str, Any]
    optional: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What came of a call; `fault` is empty if it is allowed."""

    target: str
    argument: str
    value: str
    fault: str

    def __str__(self) -> str:
        return f"{self.target:38} {self.argument:16} {self.value:18} {self.fault}"


KINDS = {
    "number": "alpha beta jump blur edge penalty factor threshold upper exponent correlation_length mean std frequency "
    "bandwidth smallest largest strength confidence step sigma_0 sigma_inf sigma_min sigma_max variance gap tol tolerance "
    "learning_rate kernel_rate low high value highest weight_decay momentum homogeneity_error",
    "integer": "n size channels depth blocks image_channels scales wedges side width heads window_size hidden stages "
    "kernel coarse_channels levels moments corners contours components count dimension resamples batch_size budget max_steps "
    "every k probes draws samples patch chunk images_seen receptive_field pixels moments index rank block workers stop",
    "seed": "seed start",
    "sigma": "sigma",
    "images": "images x y x_hat a b train test reference coverage image points means tangent_points v clean samples_",
    "tensor": "c gains atoms variances eigenvalues tangent covariance covariances spectrum weights background "
    "other_background bases alphas_cumprod direction parameters distance rows columns u labels pieces",
    "levels": "sigmas",
    "array": "mse mse_optimal terms",
    "denoiser": "f f_a f_b memoriser net function",
    "function": "vectors trace machine rule level shrinkage",
    "object": "basis image_class disks J convention recipe",
    "word": "convention_ contour spectrum_ split wavelet name boundary output first optimiser schedule oracle "
    "sigma_distribution prediction times conditioning image_class",
    "shape": "shape image_shape",
    "dtype": "dtype",
    "flag": "bias",
    "path": "path folder run",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}

NAMES = sorted({*gt.__all__, *gt._ELSEWHERE})
"""All that a user imports from the package or, as older code does, finds through it."""

RESULTS = set(
    [
        "Behaviour",
        "Comparison",
        "DecayFit",
        "Eigenbasis",
        "Estimate",
        "Jacobian",
        "OracleRisks",
        "PSNRCurve",
        "Probe",
        "Regularity",
        "SVD",
        "Samples",
        "SlopeFit",
        "Split",
        "Trajectory",
        "WedgeletPartition",
        "Status",
    ]
)
"""Made by the library, and only read by the user."""
ABSTRACT = {"Basis", "Denoiser", "DenoiserModule", "ImageClass", "Network"}
JUDGED = {"Hypothesis", "assess", "bayes_risk", "benchmark", "excess_risk", "optimality", "verify", "verify_theory"}
"""Minutes of chains and of measures; their refusals have tests of their own."""
LONG = {"train_shipped", "sweep", "testing", "__version__"} | JUDGED
"""Hours of training; processes, which have tests of their own; no functions."""
NOT_FINITE = (
    "fit_slope",  # averaged errors have no interval: its ends are NaN
    "Wedgelets",
    "Bandlet",
    "psnr",
    "OracleRisks.",
    "paired",
    "difference",
    "compare",
    "copies",
    "growing_step",
)
"""Where a result may hold NaN or infinity: the PSNR of a perfect estimate, the error of a single image."""

SYNONYMS = {
    "images": ("image", "x"),
    "x": ("image", "images", "f returned", "side of"),
    "y": ("image", "images"),
    "n": ("sample",),
    "start": ("first", "index"),
    "c": ("coefficients", "channel", "rows"),
    "sigmas": ("sigma", "noise levels"),
    "f": ("returned", "denoiser"),
    "f_a": ("f", "returned"),
    "f_b": ("f", "returned"),
    "memoriser": ("returned",),
    "net": ("network", "returned"),
    "a": ("x",),
    "b": ("x_hat",),
    "train": ("x", "images", "reference"),
    "test": ("x", "images"),
    "samples": ("x", "a", "images"),
    "shape": ("height", "width", "channels", "pixels", "sizes"),
    "image_shape": ("shape",),
    "terms": ("M(sigma)",),
    "name": ("wavelet",),
    "level": ("what level",),
    "sigma_0": ("sigma",),
    "sigma_inf": ("sigma",),
    "mse": ("noise levels",),
    "low": ("interval", "range"),
    "high": ("interval", "range"),
}


@cache
def objects() -> dict[str, Any]:
    """One of everything that calls are made with."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 1, 16, 16, generator=generator)
    small = torch.rand(4, 1, 4, 4, generator=generator)
    eye = torch.eye(16)

    def f(y: torch.Tensor, sigma: Any = None) -> torch.Tensor:
        return 0.9 * y

    folder = Path(tempfile.mkdtemp(prefix="gahb-fuzz-"))
    gt.dataset(folder / "two.npy", gt.Disks(16), 2)
    gt.save_denoiser(gt.UNet(2, 1), folder / "network")
    Image.fromarray(np.full((16, 16), 128, dtype=np.uint8)).save(folder / "grey.png")
    gaussian = gt.GaussianDenoiser(torch.full((1, 1, 4, 4), 0.5), 0.04 * eye)
    return {
        "x": x,
        "one": x[:1],
        "small": small,
        "eye": eye,
        "f": f,
        "gaussian": gaussian,
        "network": gt.UNet(2, 1).eval(),
        "J": gt.jacobian(gaussian, small[:1], 0.1),
        "folder": folder,
        "dataset": folder / "two.npy",
        "saved": folder / "network",
        "picture": folder / "grey.png",
        "tangent": torch.rand(2, 1, 16, 16, generator=generator).reshape(2, 256),
    }


@cache
def good_values() -> tuple[dict[str, Any], dict[str, Any]]:
    """Good values of the arguments of some callables, and of arguments by their names."""
    o = objects()
    special: dict[str, Any] = {
        "ConditionalKLT.from_covariance.shape": (1, 4, 4),
        "ConditionalKLT.from_covariance.covariance": o["eye"],
        "ConditionalKLT.given_contour.coverage": o["small"][:1],
        "ConditionalKLT.image_shape": (1, 4, 4),
        "DenseBasis.image_shape": (1, 4, 4),
        "RandomBasis.image_shape": (1, 4, 4),
        "RandomBasis.draw.shape": (1, 4, 4),
        "Tangent.image_shape": (1, 4, 4),
        "Tangent.atoms": o["eye"],
        "Tangent.dimension": 2,
        "Tangent.complete.tangent": o["tangent"],
        "Tangent.complete.shape": (1, 16, 16),
        "PCA.mean": o["small"][:1],
        "GaussianDenoiser.mean": o["small"][:1],
        "GaussianDenoiser.covariance": 0.04 * o["eye"],
        "StationaryGaussianDenoiser.mean": o["small"][:1],
        "StationaryGaussianDenoiser.spectrum": torch.full((1, 4, 4), 0.1),
        "GaussianMixture.means": o["small"][:1],
        "GaussianMixture.atoms": o["eye"][None],
        "GaussianMixture.variances": torch.full((1, 16), 0.1),
        "mixture_of_gaussians.means": o["small"][:1],
        "mixture_of_gaussians.covariances": 0.04 * o["eye"][None],
        "union_of_subspaces.bases": o["eye"].reshape(1, 16, 1, 4, 4)[:, :3],
        "union_of_subspaces.variance": 0.1,
        "TangentDenoiser.points": o["small"][:1],
        "TangentDenoiser.tangent": o["eye"][None, :3],
        "PatchPCA.atoms": o["eye"],
        "PatchPCA.fit.size": 4,
        "PatchSchedule.sigmas": (0.1, 0.2),
        "PatchSchedule.sizes": (3, 5),
        "FixedGains.gains": torch.full((16,), 0.5),
        "shrinkage_mse.gains": torch.full((16,), 0.5),
        "Ray.image": o["one"],
        "Bandlet.index": 0,
        "BiasFreeNorm.channels": 2,
        "BFCNN.channels": 2,
        "BFCNN.depth": 3,
        "DnCNN.channels": 2,
        "DnCNN.depth": 3,
        "UNet.channels": 2,
        "UNet.blocks": 1,
        "ConditionedUNet.channels": 4,
        "ConditionedUNet.blocks": 1,
        "DilatedUNet.channels": 2,
        "Texture.frequency": 3.0,
        "DiT.patch": 4,
        "DiT.size": 16,
        "DiT.width": 8,
        "FullyConnected.width": 8,
        "DiT.depth": 1,
        "DiT.heads": 1,
        "FullyConnected.size": 16,
        "FullyConnected.depth": 2,
        "LocallyConnected.size": 16,
        "LocallyConnected.channels": 2,
        "LocallyConnected.depth": 2,
        "Conservative.network": gt.BFCNN(2, 2),
        "LinearConvolution.kernel": 3,
        "LinearDenoiser.size": 16,
        "RecursiveCNN.channels": 2,
        "RecursiveCNN.hidden": 1,
        "RecursiveCNN.stages": 1,
        "StagedCNN.channels": 2,
        "StagedCNN.hidden": 1,
        "StagedCNN.stages": 1,
        "WindowedCNN.channels": 2,
        "WindowedCNN.kernels": (3, 3, 3),
        "DiskBayes.samples": 64,
        "Photographs.size": 16,
        "Curvelets.scales": 3,
        "CycleSpinning.side": 2,
        "Hutchinson.probes": 2,
        "adapt_arrays.function": lambda y, sigma: y,
        "adapt_diffusion.net": lambda y, t: y,
        "adapt_diffusion.alphas_cumprod": torch.linspace(0.99, 0.01, 10),
        "approximation_error.M": 3,
        "calibrate_patches.machine": lambda size: gt.PatchBayes(o["x"], size),
        "calibrate_patches.y": lambda sigma: o["x"],
        "calibrate_patches.sizes": (3, 5),
        "closest.k": 1,
        "compare.a": gt.Pixels(),
        "compare.b": gt.DCT(),
        "compare.x": o["x"],
        "compare.sigma": 0.1,
        "dataset.path": o["folder"] / "d.npy",
        "dataset.n": 2,
        "dataset.image_class": gt.Disks(16),
        "decay_exponent.x": o["x"],
        "eigenbasis_path.k": 2,
        "eigenbasis_path.x": o["small"][:1],
        "eigenbasis_path.f": o["gaussian"],
        "estimate_regularity.x": torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)),
        "generate.shape": (2, 1, 4, 4),
        "generate.f": o["gaussian"],
        "generate.step": 0.2,
        "generate.every": 2,
        "generate.max_steps": 60,
        "sample.shape": (2, 1, 4, 4),
        "sample.f": o["gaussian"],
        "sample.step": 0.2,
        "sample.every": 2,
        "sample.max_steps": 60,
        "jacobian.f": o["gaussian"],
        "difference_jacobian.f": o["gaussian"],
        "jacobian.y": o["small"][:1],
        "difference_jacobian.y": o["small"][:1],
        "kernels_for.receptive_field": 9,
        "kernels_for.depth": 5,
        "measure_behaviour.shape": (1, 16, 16),
        "map_images.measure": brightness,
        "map_images.folder": o["folder"] / "mapped",
        "probe.shape": (1, 16, 16),
        "oracle_denoise.oracle": "attenuation",
        "posterior_moments.y": o["small"][:1],
        "posterior_moments.f": o["gaussian"],
        "posterior_moments.direction": torch.ones(16),
        "posterior_components.k": 2,
        "save_denoiser.f": o["network"],
        "save_denoiser.folder": o["folder"] / "saved",
        "shipped_class.name": "c_alpha",
        "shipped_denoiser.name": "c_alpha",
        "slope_window.terms": [400, 100, 30, 9],
        "slope_window.dimension": 1024,
        "slope_window.sigmas": [0.01, 0.03, 0.1, 0.3],
        "fit_slope_in_window.terms": [400, 100, 30],
        "fit_slope_in_window.dimension": 1024,
        "fit_slope_in_window.mse": np.array([[0.1, 0.2], [0.2, 0.3], [0.4, 0.7]]),
        "sure.f": o["gaussian"],
        "sure.y": o["small"],
        "sure_risk.f": o["gaussian"],
        "sure_risk.y": o["small"],
        "trace_identity.f": o["gaussian"],
        "trace_identity.x": o["small"],
        "cost_of_symmetry.sigmas": [0.1, 0.3],
        "cost_of_symmetry.fraction": 0.25,
        "cost_of_symmetry.amplitudes": (0.02, 0.5),
        "exact_trace.f": o["gaussian"],
        "exact_trace.y": o["small"],
        "train.f": gt.UNet(2, 1),
        "train.data": gt.Disks(16),
        "train.images_seen": 4,
        "Jacobian.v": torch.ones(16),
        "Jacobian.u": torch.ones(16),
        "Jacobian.k": 2,
        "Jacobian.indices": [0, 1],
        "WedgeletPartition.x": o["x"],
        "Disks.parameters": torch.full((2, 5), 0.3),
        "DeadLeaves.smallest": 0.1,
        "DeadLeaves.distance": torch.tensor([0.1, 0.2]),
        "Recipe.sigma": torch.tensor([0.1]),
        "Recipe.u": torch.tensor([0.1]),
        "Recipe.step": 1,
        "Recipe.highest": 0.1,
        "Convention.net": lambda u, *_: u,
        "Convention.u": o["x"],
        "Convention.s": torch.full((2, 1, 1, 1), 0.1),
        "Convention.returned": o["x"],
        "Shuffled.pixels": 16,
        "kl_bound_estimate.mse": np.array([[0.1, 0.2], [0.2, 0.3], [0.4, 0.7]]),
        "kl_bound_estimate.mse_optimal": 0.05,
        "split.images": torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)),
        "split.threshold": 0.95,
        "DiskBayes.y": gt.add_noise(gt.Disks(16).sample(2), 0.3),
        "DiskBayes.sigma": 0.3,
        "DiskBayes.size": 16,
        "Disks.curvature_radius.parameters": gt.Disks(16).scene(2).parameters,
        "BlockDCT.size": 4,
        "ImageDataset.path": o["dataset"],
        "read_image.path": o["picture"],
        "load_denoiser.path": o["saved"],
    }
    usual: dict[str, Any] = {
        "images": o["x"], "x": o["x"], "y": o["x"], "x_hat": o["x"] + 0.1, "a": o["x"], "b": o["x"].flip(0),
        "train": o["x"], "test": o["x"].flip(0), "reference": o["x"], "samples": o["x"],
        "atoms": o["eye"], "variances": torch.full((16,), 0.1), "eigenvalues": torch.linspace(1, 0, 16),
        "c": o["x"].flatten(1)[:, :16].contiguous(), "sigma": 0.1, "sigmas": [0.1, 0.2, 0.4], "mse": [0.1, 0.2, 0.5],
        "mse_optimal": [0.05, 0.1, 0.2], "seed": 0, "start": 0, "n": 2, "f": o["f"], "f_a": o["f"], "f_b": lambda y, s: 0.8 * y,
        "memoriser": lambda y, s: 0.8 * y, "net": lambda y: 0.9 * y, "shape": (1, 16, 16), "threshold": 0.5,
        "basis": gt.Wavelet("haar", levels=2), "image_class": gt.Disks(16), "disks": gt.Disks(16), "shrinkage": gt.Soft(1.0),
        "J": o["J"], "background": 0.01 * o["eye"], "other_background": 0.01 * o["eye"], "means": torch.eye(2),
        "alpha": 2.0, "count": 16, "patch": 3, "bands": None, "indices": [0, 1], "batch_size": 2, "resamples": 100,
        "index": 0, "height": 16, "width": 16, "size": 16, "path": o["folder"] / "p.json",
    }  # fmt: skip
    return special, usual


def brightness(f: Any, image: torch.Tensor) -> float:
    """A measure that other processes can import."""
    return float(f(image, 0.1).mean())


def _good(name: str, owner: str) -> Any:
    """A good value for the argument `name` of `owner`; KeyError if there is none."""
    special, usual = good_values()
    return special[f"{owner}.{name}"] if f"{owner}.{name}" in special else usual[name]


def _target(name: str, call: Callable[..., Any], owner: str) -> Target | None:
    kinds, good, optional = {}, {}, set()
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        key = parameter.name
        has_default = parameter.default is not parameter.empty
        try:
            good[key] = _good(key, name) if not owner else _first(key, name, owner)
        except KeyError:
            if not has_default:
                raise KeyError(f"no good value for {name}({key})") from None
            good[key] = parameter.default
        kinds[key] = SPECIAL_KINDS.get(f"{name}.{key}", KIND.get(key, "any"))
        if has_default and parameter.default is None:
            optional.add(key)
    return Target(name, call, kinds, good, frozenset(optional))


def _first(key: str, name: str, owner: str) -> Any:
    for where in (name, owner):
        try:
            return _good(key, where)
        except KeyError:
            pass
    raise KeyError(key)


SPECIAL_KINDS = {
    "Bandlet.__getitem__.index": "any",
    "unit_vectors.x": "tensor or none",
    "centred_unit_vectors.x": "tensor or none",
    "Conservative.network": "object",
    "PCA.mean": "images", "GaussianDenoiser.mean": "images", "StationaryGaussianDenoiser.mean": "images",
    "generate.mean": "any", "generate.step": "any", "generate.shape": "shape", "compare.a": "object", "compare.b": "object",
    "compare.x": "images", "compare.contour": "any", "CAlpha.contour": "word", "CAlpha.convention": "word",
    "GaussianField.spectrum": "word", "SineCone.frequency": "any", "DiskBayes.samples": "integer",
    "ImageDataset.first": "integer",
    "StationaryGaussianDenoiser.spectrum": "tensor", "DeadLeaves.distance": "tensor", "estimate_regularity.x": "tensor",
    "fit_slope.window": "any", "Disks.edge": "any", "Bandlet.wavelet": "word", "Bandlet.penalty": "limit",
    "Wedgelets.penalty": "limit", "ConditionalKLT.given_contour.means": "tensor",
    "ConditionalKLT.from_covariance.covariance": "any", "jacobian.budget": "limit", "approximation_error.M": "any",
    "PatchBayes.patch": "any", "EquivariantPatchBayes.patch": "any", "BoundaryBrokenPatchBayes.patch": "any",
    "PatchComposite.patch": "any",
    "trace_identity.sigma": "number", "sure.trace": "function", "calibrate_patches.y": "any", "generate.level": "any",
    "sample.mean": "any", "sample.step": "any", "sample.shape": "shape", "sample.level": "any",
    "calibrate_patches.machine": "any", "Universal.rule": "any", "near_duplicates.images": "any", "split.n": "integer",
    "GaussianDenoiser.gains.sigma": "sigma or sigmas", "GaussianDenoiser.mse.sigma": "sigma or sigmas",
    "map_images.f": "any", "map_images.executor": "word",
    "train.f": "object", "dataset.dtype": "word", "dataset.image_class": "object", "ImageDataset.path": "path",
    "GaussianField.period": "any", "Photographs.channels": "any", "PatchSchedule.sigma": "number", "Texture.mean": "number",
    "WindowedCNN.first": "word", "load_denoiser.first": "word", "union_of_subspaces.bases": "tensor",
    "FixedGains.gains": "tensor", "CAlpha.beta": "number", "measure_behaviour.f": "denoiser", "jacobian.f": "map",
    "difference_jacobian.f": "map", "probe.net": "any",
    "adapt.net": "function", "adapt_arrays.function": "function", "adapt_diffusion.net": "function",
    "Convention.call.net": "any",
    "save_denoiser.f": "object", "Recipe.weight.sigma": "any", "Convention.call.u": "any", "Recipe.draw_sigma.u": "any",
    "Jacobian.rmatvec.u": "tensor", "Jacobian.matvec.v": "tensor", "GaussianMixture.means": "images",
}  # fmt: skip


@cache
def targets() -> tuple[Target, ...]:
    """Every public function, constructor and method of its own."""
    found = []
    for name in NAMES:
        if name in RESULTS | ABSTRACT | LONG:
            continue
        item = getattr(gt, name)
        found.append(_target(name, item, ""))
    for name, instance in instances():
        for method in sorted(dir(type(instance))):
            static = inspect.getattr_static(type(instance), method)
            if isinstance(static, property) or (method.startswith("_") and method not in ("__call__", "__getitem__")):
                continue
            bound = getattr(instance, method, None)
            if not callable(bound) or not (getattr(bound, "__module__", None) or "").startswith("gahb_theory"):
                continue
            if method in ("estimate", "plot", "write", "pad") and not isinstance(instance, gt.Hutchinson):
                continue  # inner steps, and files
            if method in ("regions", "placed", "paint", "arranged", "numbers", "uniform_count"):
                continue  # inner steps of the exact posteriors
            found.append(_target(f"{name}.{method}", bound, name))
    return tuple(t for t in found if t is not None)


def instances() -> Iterator[tuple[str, Any]]:
    """One object of every public class, made with good arguments; of bases, one that is adapted to the images."""
    o = objects()
    for name in NAMES:
        item = getattr(gt, name)
        if not inspect.isclass(item) or name in RESULTS | ABSTRACT | LONG:
            continue
        target = _target(name, item, "")
        assert target is not None
        made = item(**target.good)
        if isinstance(made, torch.nn.Module):
            made.eval()
        if isinstance(made, gt.Basis) and not made.is_adapted:
            made = made.at(o["one"], 0.2)
        yield name, made
    yield "Jacobian", o["J"]
    yield "Eigenbasis", o["J"].eigenbasis(3)


def calls(only: str = "") -> list[tuple[Target, str, str]]:
    """All calls, in order."""
    return [
        (target, argument, value)
        for target in targets()
        if target.name.startswith(only)
        for argument in target.good
        for value in VALUES
        if (target.name, argument, value) != ("train", "images_seen", "None")  # the budget of the recipe: minutes
    ]


def _fits(target: Target) -> dict[str, Any]:
    """Good arguments of a method, in shapes that fit its object."""
    good = dict(target.good)
    instance = getattr(target.call, "__self__", None)
    own = _image_shape(instance)
    if own is not None:
        generator = torch.Generator().manual_seed(1)
        x = torch.rand(2, *own, generator=generator)
        for key in ("x", "y"):
            if key in good and not isinstance(instance, gt.DiskBayes):
                good[key] = x[:1] if target.name.endswith(("jacobian_matrix", "weights")) else x
        if target.name == "DiskBayes.jacobian_matrix":
            good["y"] = good["y"][:1]
        if "shape" in good and not inspect.isclass(instance):
            good["shape"] = own
    if isinstance(instance, gt.Basis) and "c" in good:
        good["c"] = instance.analysis(torch.rand(2, *(own or (1, 16, 16)), generator=torch.Generator().manual_seed(1)))
    return good


def _image_shape(instance: Any) -> tuple[int, ...] | None:
    if instance is None or inspect.isclass(instance):
        return None
    shape = getattr(instance, "image_shape", None)
    if shape is not None:
        return tuple(shape)
    for name in ("mean", "means", "points"):
        value = getattr(instance, name, None)
        if isinstance(value, torch.Tensor) and value.ndim == 4:
            return tuple(value.shape[1:])
    return (1, 16, 16)


def attempt(target: Target, argument: str, value: str) -> Outcome:
    """Make a call and judge it."""
    given = VALUES[value]
    kind = target.kinds[argument]
    good = _fits(target)
    good[argument] = given
    refused = value in REFUSED[kind] and not (value == "None" and argument in target.optional)

    def outcome(fault: str = "") -> Outcome:
        return Outcome(target.name, f"{argument} ({kind})", value, fault)

    def stop(*_: Any) -> None:
        raise Hang

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)  # again, if the first is lost in a destructor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = target.call(**good)
    except UserError:
        return outcome("" if value == "raises" else "an error of the user from nowhere")
    except Hang:
        return outcome("HANGS")
    except (
        ValueError,
        TypeError,
        RuntimeError,
        OSError,
        ImportError,
        NotImplementedError,
    ) as error:  # OSError: the disk
        return outcome(_judge(error, target, argument))
    except Exception as error:
        own = _last_frame(error).co_name == "<lambda>"
        return outcome("" if own else f"{type(error).__name__}: {str(error)[:120]!r}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if refused:
        return outcome("ACCEPTED")
    if not target.name.startswith(NOT_FINITE) and (where := _not_finite(result)):
        return outcome(f"NOT FINITE {where}")
    return outcome()


def _judge(error: Exception, target: Target, argument: str) -> str:
    if _last_frame(error).co_name == "<lambda>":
        return ""  # a function of the user stumbled over its arguments
    text = str(error)
    shown = f"{type(error).__name__}: {text[:150]!r}"
    if any(word in text for word in FOREIGN):
        return f"FOREIGN {shown}"
    if len(text) > LONGEST:
        return f"LONG ({len(text)}) {shown}"
    words = (argument, *SYNONYMS.get(argument, ()), type(getattr(target.call, "__self__", None)).__name__)
    if not any(re.search(rf"(?<!\w){re.escape(word)}", text) for word in words):
        return f"NAMELESS {shown}"
    if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError) and _of_torch(error):
        return f"FOREIGN {shown}"
    return ""


def _last_frame(error: BaseException) -> CodeType:
    """The code that raised an error."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code


def _of_torch(error: BaseException) -> bool:
    """Whether the error was raised by torch itself and not by a line of the library."""
    return "gahb_theory" not in _last_frame(error).co_filename


def _not_finite(result: Any, depth: int = 0) -> str:
    """Where a result holds NaN or infinity; empty if nowhere."""
    if depth > 3 or isinstance(result, str | bytes | torch.nn.Module | Path | gt.Basis):
        return ""
    if isinstance(result, torch.Tensor):
        if result.is_meta or result.layout != torch.strided or not result.is_floating_point():
            return ""
        return "" if bool(torch.isfinite(result.detach()).all()) else "a tensor"
    if isinstance(result, np.ndarray):
        return "an array" if result.dtype.kind == "f" and not np.isfinite(result).all() else ""
    if isinstance(result, float):
        return "a number" if not math.isfinite(result) else ""
    if is_dataclass(result) and not inspect.isclass(result):
        return next(
            (f"{f.name}: {w}" for f in fields(result) if (w := _not_finite(getattr(result, f.name), depth + 1))), ""
        )
    if isinstance(result, tuple | list):
        return next((w for part in result if (w := _not_finite(part, depth + 1))), "")
    return ""


def limit_memory(gibibytes: int = 8) -> None:
    """Let a call that asks for too much memory fail instead of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (gibibytes << 30, gibibytes << 30))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--skip", default="", help="a regular expression of targets to leave out")
    parser.add_argument("--every", type=int, default=1, help="take each call of this many, beginning with --first")
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    limit_memory()
    tried = wrong = 0
    for target, argument, value in calls(arguments.only)[arguments.first :: arguments.every]:
        if arguments.skip and re.search(arguments.skip, target.name):
            continue
        tried += 1
        result = attempt(target, argument, value)
        if result.fault:
            wrong += 1
            print(result, flush=True)
    print(f"{tried} calls, {wrong} that end otherwise than they may")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
