"""Why denoisers and diffusion models generalise: a theory-first analysis library.

    f(y) = sum_k lambda_k(y) <y, e_k(y)> e_k(y)

A denoiser is a shrinkage in a basis adapted to its input. The library is made of the four nouns of that sentence: image
classes, bases, shrinkages, denoisers; and of the operator that leads from a denoiser to its basis and shrinkage, the
Jacobian. Import it as

    import gahb_theory as gt
"""

import sys as _sys
from functools import cache as _cache
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

import gahb_theory.signals as _signals  # noqa: F401  # before anything heavy: a command may be stopped as it starts
from gahb_theory.version import __version__

if TYPE_CHECKING:  # and when it is first used: see __getattr__
    from gahb_theory import testing
    from gahb_theory.bases import DCT, PCA, Bandlet, Basis, DenseBasis, Eigenbasis, Fourier, Pixels, Wavelet
    from gahb_theory.comparison import compare
    from gahb_theory.denoisers import (
        BFCNN,
        Conservative,
        Convention,
        Denoiser,
        DenoiserModule,
        DiT,
        DnCNN,
        EmpiricalBayes,
        GaussianDenoiser,
        ShrinkageDenoiser,
        UNet,
        adapt,
        adapt_diffusion,
        load_denoiser,
        probe,
        save_denoiser,
    )
    from gahb_theory.generalization import copies, function_distance, measure_behaviour, psnr_gap
    from gahb_theory.hypotheses import Hypothesis, assess
    from gahb_theory.hypotheses.benchmark import benchmark
    from gahb_theory.images import (
        CAlpha,
        Disks,
        Ellipses,
        GaussianField,
        HolderBall,
        ImageClass,
        Photographs,
        Shuffled,
        read_image,
    )
    from gahb_theory.images.dataset import dataset
    from gahb_theory.jacobians import Jacobian, difference_jacobian, jacobian
    from gahb_theory.many_images import map_images
    from gahb_theory.metrics import Estimate, mse, psnr, psnr_curve
    from gahb_theory.pretrained import shipped_denoiser
    from gahb_theory.randomness import add_noise
    from gahb_theory.sampling import generate, sample
    from gahb_theory.shrinkage import Hard, Soft, oracle_gains
    from gahb_theory.sweeps import sweep
    from gahb_theory.theory import (
        bayes_risk,
        excess_risk,
        fit_slope,
        kl_bound,
        local_slopes,
        optimality,
        oracle_mse,
        sure,
        verify,
        verify_theory,
    )
    from gahb_theory.training import Recipe, train

__all__ = [
    # image classes, noise, images on disk
    "CAlpha",
    "Disks",
    "Ellipses",
    "GaussianField",
    "HolderBall",
    "ImageClass",
    "Photographs",
    "Shuffled",
    "add_noise",
    "dataset",
    "read_image",
    # bases
    "DCT",
    "PCA",
    "Bandlet",
    "Basis",
    "DenseBasis",
    "Eigenbasis",
    "Fourier",
    "Pixels",
    "Wavelet",
    # shrinkages
    "Hard",
    "Soft",
    "oracle_gains",
    # denoisers: networks, exact ones, those of others
    "BFCNN",
    "Conservative",
    "Convention",
    "Denoiser",
    "DenoiserModule",
    "DiT",
    "DnCNN",
    "EmpiricalBayes",
    "GaussianDenoiser",
    "ShrinkageDenoiser",
    "UNet",
    "adapt",
    "adapt_diffusion",
    "load_denoiser",
    "probe",
    "save_denoiser",
    "shipped_denoiser",
    # from a denoiser to its basis and shrinkage
    "Jacobian",
    "difference_jacobian",
    "jacobian",
    # training and sampling
    "Recipe",
    "generate",
    "sample",
    "train",
    # errors, slopes and theory
    "Estimate",
    "bayes_risk",
    "excess_risk",
    "fit_slope",
    "kl_bound",
    "local_slopes",
    "mse",
    "optimality",
    "oracle_mse",
    "psnr",
    "psnr_curve",
    "sure",
    "verify",
    "verify_theory",
    # side by side
    "compare",
    "copies",
    "function_distance",
    "measure_behaviour",
    "psnr_gap",
    # hypotheses and their verdicts, and the benchmark
    "Hypothesis",
    "assess",
    "benchmark",
    # many runs, and checks of your own classes
    "map_images",
    "sweep",
    "testing",
    # which version this is
    "__version__",
]

_ELSEWHERE = {
    "BayesShrink": "gahb_theory.shrinkage",
    "Behaviour": "gahb_theory.generalization",
    "BiasFreeNorm": "gahb_theory.denoisers",
    "BlockDCT": "gahb_theory.bases",
    "BlockJamesStein": "gahb_theory.shrinkage",
    "BoundaryBrokenPatchBayes": "gahb_theory.denoisers",
    "Comparison": "gahb_theory.comparison",
    "ConditionalKLT": "gahb_theory.bases",
    "ConditionedUNet": "gahb_theory.denoisers",
    "Curvelets": "gahb_theory.bases",
    "CycleSpinning": "gahb_theory.bases",
    "DRUNet": "gahb_theory.denoisers",
    "DeadLeaves": "gahb_theory.images",
    "DecayFit": "gahb_theory.theory",
    "DilatedUNet": "gahb_theory.denoisers",
    "DiskBayes": "gahb_theory.denoisers",
    "EmpiricalRays": "gahb_theory.denoisers",
    "EquivariantPatchBayes": "gahb_theory.denoisers",
    "FFDNet": "gahb_theory.denoisers",
    "Firm": "gahb_theory.shrinkage",
    "FixedGains": "gahb_theory.shrinkage",
    "FullyConnected": "gahb_theory.denoisers",
    "Garrote": "gahb_theory.shrinkage",
    "GaussianMixture": "gahb_theory.denoisers",
    "Hutchinson": "gahb_theory.jacobians.traces",
    "IRCNN": "gahb_theory.denoisers",
    "ImageDataset": "gahb_theory.images",
    "LinearConvolution": "gahb_theory.denoisers",
    "LinearDenoiser": "gahb_theory.denoisers",
    "LocallyConnected": "gahb_theory.denoisers",
    "Network": "gahb_theory.denoisers",
    "NonLocalMeans": "gahb_theory.denoisers",
    "OracleRisks": "gahb_theory.theory",
    "PSNRCurve": "gahb_theory.metrics",
    "PatchBayes": "gahb_theory.denoisers",
    "PatchPCA": "gahb_theory.bases",
    "PatchSchedule": "gahb_theory.denoisers",
    "Polygons": "gahb_theory.images",
    "Probe": "gahb_theory.denoisers",
    "RandomBasis": "gahb_theory.bases",
    "Ray": "gahb_theory.images",
    "RecursiveCNN": "gahb_theory.denoisers",
    "Regularity": "gahb_theory.theory",
    "SVD": "gahb_theory.jacobians",
    "Samples": "gahb_theory.sampling",
    "SineCone": "gahb_theory.images",
    "SlopeFit": "gahb_theory.theory",
    "Split": "gahb_theory.images",
    "StagedCNN": "gahb_theory.denoisers",
    "StationaryGaussianDenoiser": "gahb_theory.denoisers",
    "Status": "gahb_theory.sampling",
    "SureShrink": "gahb_theory.shrinkage",
    "Tangent": "gahb_theory.bases",
    "TangentDenoiser": "gahb_theory.denoisers",
    "Texture": "gahb_theory.images",
    "Trajectory": "gahb_theory.sampling",
    "Universal": "gahb_theory.shrinkage",
    "WaveletPackets": "gahb_theory.bases",
    "WedgeletPartition": "gahb_theory.bases",
    "Wedgelets": "gahb_theory.bases",
    "WienerPatchBayes": "gahb_theory.denoisers",
    "WindowedCNN": "gahb_theory.denoisers",
    "adapt_arrays": "gahb_theory.denoisers",
    "approximation_error": "gahb_theory.theory",
    "calibrate_patches": "gahb_theory.denoisers",
    "centred_unit_vectors": "gahb_theory.metrics",
    "closest": "gahb_theory.metrics",
    "cosine_similarity": "gahb_theory.metrics",
    "decay_exponent": "gahb_theory.theory",
    "distinct": "gahb_theory.images",
    "effective_terms": "gahb_theory.theory",
    "eigenbasis_path": "gahb_theory.jacobians",
    "estimate_regularity": "gahb_theory.theory",
    "exact_trace": "gahb_theory.jacobians.traces",
    "exponent_table": "gahb_theory.theory",
    "fit_slope_in_window": "gahb_theory.theory",
    "growing_step": "gahb_theory.sampling",
    "kernels_for": "gahb_theory.denoisers",
    "kl_bound_estimate": "gahb_theory.theory",
    "memoriser_distance": "gahb_theory.generalization",
    "mixture_of_gaussians": "gahb_theory.denoisers",
    "near_duplicates": "gahb_theory.images",
    "optimal_slope": "gahb_theory.theory",
    "oracle_denoise": "gahb_theory.theory",
    "oracle_risks": "gahb_theory.theory",
    "paired_similarity": "gahb_theory.generalization",
    "posterior_components": "gahb_theory.jacobians",
    "posterior_deviation": "gahb_theory.jacobians",
    "posterior_moments": "gahb_theory.jacobians",
    "projection_gains": "gahb_theory.shrinkage",
    "projection_mse": "gahb_theory.theory",
    "psnr_per_image": "gahb_theory.metrics",
    "shipped_class": "gahb_theory.pretrained",
    "shrinkage_mse": "gahb_theory.theory",
    "slope_window": "gahb_theory.theory",
    "split": "gahb_theory.images",
    "stein_risk": "gahb_theory.shrinkage",
    "subspace_dimension": "gahb_theory.jacobians",
    "sure_risk": "gahb_theory.theory",
    "terms_above": "gahb_theory.theory",
    "trace_identity": "gahb_theory.theory",
    "train_shipped": "gahb_theory.pretrained",
    "union_of_subspaces": "gahb_theory.denoisers",
    "unit_vectors": "gahb_theory.metrics",
    "universal_threshold": "gahb_theory.shrinkage",
}
"""Names that are imported from their package; their place here is kept for older code."""


class _Former(_ModuleType):
    """A module under its former name; the function `sweep` has this one's place as an attribute."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever looks at all modules does not mean this one
            raise AttributeError(name)
        from gahb_theory import sweeps

        return getattr(sweeps, name)


_sys.modules["gahb_theory.sweep"] = _Former("gahb_theory.sweep")


@_cache
def _places() -> dict[str, str]:
    """The module of each name that is imported above, read from there, so that the list stands once."""
    import ast
    from pathlib import Path

    block = next(
        node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.If)
    )
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def __getattr__(name: str) -> Any:
    """A public name, an older one, or a sub-package, imported when it is first used: torch alone takes two seconds."""
    from importlib import import_module
    from importlib.util import find_spec

    if name in _ELSEWHERE:
        return getattr(import_module(_ELSEWHERE[name]), name)
    if name in __all__ and name != "testing":
        globals()[name] = getattr(import_module(_places()[name]), name)
        return globals()[name]
    if not name.startswith("_") and find_spec(f"gahb_theory.{name}") is not None:
        return import_module(f"gahb_theory.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
