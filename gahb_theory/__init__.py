"""Why denoisers and diffusion models generalise: a theory-first analysis library.

    f(y) = sum_k lambda_k(y) <y, e_k(y)> e_k(y)

A denoiser is a shrinkage in a basis adapted to its input. The library is made of the four nouns of that sentence: image
classes, bases, shrinkages, denoisers; and of the operator that leads from a denoiser to its basis and shrinkage, the
Jacobian. Import it as

    import gahb_theory as gt
"""

from gahb_theory import testing
from gahb_theory.bases import DCT, PCA, Basis, Eigenbasis, Fourier, Pixels, Wavelet
from gahb_theory.denoisers import (
    BFCNN,
    BiasFreeNorm,
    Denoiser,
    DenoiserModule,
    GaussianDenoiser,
    ShrinkageDenoiser,
    UNet,
    load_denoiser,
    save_denoiser,
)
from gahb_theory.generalization import (
    copies,
    function_distance,
    memoriser_distance,
    paired_similarity,
    psnr_gap,
)
from gahb_theory.images import CAlpha, Disks, ImageClass, Photographs, Shuffled, Split, distinct, read_image, split
from gahb_theory.intervals import Estimate
from gahb_theory.jacobians import SVD, Jacobian, jacobian
from gahb_theory.jacobians.traces import Hutchinson, exact_trace
from gahb_theory.metrics import PSNRCurve, mse, psnr, psnr_curve, psnr_per_image
from gahb_theory.pretrained import shipped_class, shipped_denoiser, train_shipped
from gahb_theory.randomness import add_noise
from gahb_theory.sampling import Samples, Status, Trajectory, generate, growing_step
from gahb_theory.shrinkage import FixedGains, Hard, Soft, oracle_gains, projection_gains
from gahb_theory.similarity import centred_unit_vectors, closest, cosine_similarity, unit_vectors
from gahb_theory.sweep import sweep
from gahb_theory.theory import (
    SlopeFit,
    effective_terms,
    exponent_table,
    fit_slope,
    fit_slope_in_window,
    kl_bound,
    kl_bound_estimate,
    local_slopes,
    optimal_slope,
    oracle_mse,
    projection_mse,
    shrinkage_mse,
    slope_window,
    sure,
    sure_risk,
    terms_above,
    trace_identity,
)
from gahb_theory.training import Recipe, train
from gahb_theory.version import __version__

__all__ = [
    "BFCNN",
    "DCT",
    "PCA",
    "SVD",
    "Basis",
    "BiasFreeNorm",
    "CAlpha",
    "Denoiser",
    "DenoiserModule",
    "Disks",
    "Eigenbasis",
    "Estimate",
    "FixedGains",
    "Fourier",
    "GaussianDenoiser",
    "Hard",
    "Hutchinson",
    "ImageClass",
    "Jacobian",
    "PSNRCurve",
    "Photographs",
    "Pixels",
    "Recipe",
    "Samples",
    "ShrinkageDenoiser",
    "Shuffled",
    "SlopeFit",
    "Soft",
    "Split",
    "Status",
    "Trajectory",
    "UNet",
    "Wavelet",
    "__version__",
    "add_noise",
    "centred_unit_vectors",
    "closest",
    "copies",
    "cosine_similarity",
    "distinct",
    "effective_terms",
    "exact_trace",
    "exponent_table",
    "fit_slope",
    "fit_slope_in_window",
    "function_distance",
    "generate",
    "growing_step",
    "jacobian",
    "kl_bound",
    "kl_bound_estimate",
    "load_denoiser",
    "local_slopes",
    "memoriser_distance",
    "mse",
    "optimal_slope",
    "oracle_gains",
    "oracle_mse",
    "paired_similarity",
    "projection_gains",
    "projection_mse",
    "psnr",
    "psnr_curve",
    "psnr_gap",
    "psnr_per_image",
    "read_image",
    "save_denoiser",
    "shipped_class",
    "shipped_denoiser",
    "shrinkage_mse",
    "slope_window",
    "split",
    "sure",
    "sure_risk",
    "sweep",
    "terms_above",
    "testing",
    "trace_identity",
    "train",
    "train_shipped",
    "unit_vectors",
]
