"""Two denoisers side by side, copies of training images, and the properties of one denoiser."""

from gahb_theory.generalization.copying import Copies, PairedSimilarity, copies, paired_similarity
from gahb_theory.generalization.distances import Distance, PSNRGap, function_distance, memoriser_distance, psnr_gap
from gahb_theory.generalization.properties import Behaviour, measure_behaviour

__all__ = [
    "Behaviour",
    "Copies",
    "Distance",
    "PSNRGap",
    "PairedSimilarity",
    "copies",
    "function_distance",
    "measure_behaviour",
    "memoriser_distance",
    "paired_similarity",
    "psnr_gap",
]
