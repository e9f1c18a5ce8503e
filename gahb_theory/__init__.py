"""Why denoisers and diffusion models generalise: a theory-first analysis library.

    f(y) = sum_k lambda_k(y) <y, e_k(y)> e_k(y)

A denoiser is a shrinkage in a basis adapted to its input. The library is made of the four nouns of that sentence: image
classes, bases, shrinkages, denoisers; and of the operator that leads from a denoiser to its basis and shrinkage, the
Jacobian. Import it as

    import gahb_theory as gt
"""

from gahb_theory import testing
from gahb_theory.bases import DCT, PCA, Basis, Eigenbasis, Fourier, Pixels, Wavelet
from gahb_theory.behaviour import Behaviour, measure_behaviour
from gahb_theory.denoisers import (
    BFCNN,
    BiasFreeNorm,
    Convention,
    Denoiser,
    DenoiserModule,
    DilatedUNet,
    DiskBayes,
    DnCNN,
    EmpiricalBayes,
    EmpiricalRays,
    EquivariantPatchBayes,
    GaussianDenoiser,
    GaussianMixture,
    Network,
    PatchBayes,
    PatchSchedule,
    Probe,
    RecursiveCNN,
    ShrinkageDenoiser,
    StagedCNN,
    StationaryGaussianDenoiser,
    TangentDenoiser,
    UNet,
    WienerPatchBayes,
    WindowedCNN,
    adapt,
    adapt_diffusion,
    calibrate_patches,
    kernels_for,
    load_denoiser,
    mixture_of_gaussians,
    probe,
    save_denoiser,
    union_of_subspaces,
)
from gahb_theory.images import CAlpha, Disks, ImageClass, Photographs, Shuffled, read_image
from gahb_theory.jacobians import SVD, Jacobian, jacobian
from gahb_theory.metrics import PSNRCurve, mse, psnr, psnr_curve, psnr_per_image
from gahb_theory.pretrained import shipped_class, shipped_denoiser, train_shipped
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import FixedGains, Hard, Soft, oracle_gains, projection_gains
from gahb_theory.theory import (
    SlopeFit,
    fit_slope,
    local_slopes,
    optimal_slope,
    oracle_mse,
    projection_mse,
    shrinkage_mse,
)
from gahb_theory.training import Recipe, train
from gahb_theory.version import __version__

__all__ = [
    "BFCNN",
    "DCT",
    "PCA",
    "SVD",
    "Basis",
    "Behaviour",
    "BiasFreeNorm",
    "CAlpha",
    "Convention",
    "Denoiser",
    "DenoiserModule",
    "DilatedUNet",
    "DiskBayes",
    "Disks",
    "DnCNN",
    "Eigenbasis",
    "EmpiricalBayes",
    "EmpiricalRays",
    "EquivariantPatchBayes",
    "FixedGains",
    "Fourier",
    "GaussianDenoiser",
    "GaussianMixture",
    "Hard",
    "ImageClass",
    "Jacobian",
    "Network",
    "PSNRCurve",
    "PatchBayes",
    "PatchSchedule",
    "Photographs",
    "Pixels",
    "Probe",
    "Recipe",
    "RecursiveCNN",
    "ShrinkageDenoiser",
    "Shuffled",
    "SlopeFit",
    "Soft",
    "StagedCNN",
    "StationaryGaussianDenoiser",
    "TangentDenoiser",
    "UNet",
    "Wavelet",
    "WienerPatchBayes",
    "WindowedCNN",
    "__version__",
    "adapt",
    "adapt_diffusion",
    "add_noise",
    "calibrate_patches",
    "fit_slope",
    "jacobian",
    "kernels_for",
    "load_denoiser",
    "local_slopes",
    "measure_behaviour",
    "mixture_of_gaussians",
    "mse",
    "optimal_slope",
    "oracle_gains",
    "oracle_mse",
    "probe",
    "projection_gains",
    "projection_mse",
    "psnr",
    "psnr_curve",
    "psnr_per_image",
    "read_image",
    "save_denoiser",
    "shipped_class",
    "shipped_denoiser",
    "shrinkage_mse",
    "testing",
    "train",
    "train_shipped",
    "union_of_subspaces",
]
