"""Samples side by side: with those of another denoiser, and with the training images.

Two denoisers that have learned the same distribution draw the same image from the same noise; two that have memorised different
images draw one of theirs each (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, section 2 and figure 2).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.intervals import (
    Estimate,
    check_confidence,
    linear_estimate,
    mean_estimate,
    share_estimate,
)
from gahb_theory.metrics.similarity import Vectors, centred_unit_vectors, check_pair, closest, vectors_of
from gahb_theory.precision import full_precision, takes_arrays
from gahb_theory.sampling.samples import Samples
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Copies", "PairedSimilarity", "copies", "paired_similarity"]


@dataclass(frozen=True, eq=False, repr=False)
class PairedSimilarity(Result):
    """Similarity of n pairs of images, and of images that are no pairs.

    Parameters
    ----------
    pairs
        Similarity of image i of one set and image i of the other, shape (n,).
    null
        Similarity of image i and image j, i != j, shape (n (n - 1),).
    mean, null_mean
        Their means.
    excess
        Mean similarity of pairs less that of the null: 0 if pairing does not matter.
    """

    pairs: Float[np.ndarray, " n"]
    null: Float[np.ndarray, " m"]
    mean: Estimate
    null_mean: Estimate
    excess: Estimate

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the similarities of pairs beside those of other images, and return the axes."""
        from gahb_theory.report.draw_results import draw_histograms

        return draw_histograms({"pairs": self.pairs, "others": self.null}, ax, "similarity")


@full_precision
@takes_arrays
def paired_similarity(
    a: Float[Tensor, "n c h w"] | Samples,
    b: Float[Tensor, "n c h w"] | Samples,
    vectors: Vectors = centred_unit_vectors,
    confidence: float = 0.95,
) -> PairedSimilarity:
    """Similarity of samples that two denoisers drew from the same noise, beside samples from different noise.

    Parameters
    ----------
    a, b
        What `generate` returns with the same seed, or its images, shape (n, channels, height, width), at least 2.
    vectors
        The convention of the similarity: `centred_unit_vectors`, or `unit_vectors` as in the paper.
    confidence
        Probability of the intervals over pairs.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.images import Disks
    >>> x = Disks(size=16).sample(50)
    >>> result = paired_similarity(x, 0.5 * x)
    >>> round(result.mean.value, 3), bool(abs(result.null_mean.value) < 0.2)
    (1.0, True)
    """
    a, b = (s.images if isinstance(s, Samples) else s for s in (a, b))
    check_pair(validate.images(a, "a", least=2), b)
    n, confidence = len(a), check_confidence(confidence)
    matrix = (vectors_of(vectors, a) @ vectors_of(vectors, b).mT).cpu().double().numpy()
    pairs = matrix.diagonal().copy()
    null = matrix[~np.eye(n, dtype=bool)]
    # how much pair i adds to the mean over i != j of S_ij (Hoeffding 1948)
    parts = (matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * pairs) / (n - 1)
    return PairedSimilarity(
        pairs=pairs,
        null=null,
        mean=mean_estimate(pairs, confidence),
        null_mean=linear_estimate(float(null.mean()), [parts], confidence),
        excess=linear_estimate(float(pairs.mean() - null.mean()), [pairs - parts], confidence),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Copies(Result):
    """The closest training image of each of n samples.

    Parameters
    ----------
    indices
        Its number, shape (n,).
    similarity
        Its similarity, shape (n,).
    share
        Share of the samples whose similarity exceeds the threshold.
    mean
        Mean of the similarity.
    threshold
        What makes a copy.
    """

    indices: Int[np.ndarray, " n"]
    similarity: Float[np.ndarray, " n"]
    share: Estimate
    mean: Estimate
    threshold: float

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the similarities to the closest training images, and return the axes."""
        from gahb_theory.report.draw_results import draw_histograms

        return draw_histograms({"samples": self.similarity}, ax, "similarity")


@takes_arrays
def copies(
    samples: Float[Tensor, "n c h w"] | Samples,
    train: Float[Tensor, "m c h w"],
    threshold: float = 0.95,
    vectors: Vectors = centred_unit_vectors,
    confidence: float = 0.95,
) -> Copies:
    """The closest training image of each sample, and the share of samples that are copies.

    The share by chance is that of fresh images of the same distribution, given in place of the samples.

    Parameters
    ----------
    samples, train
        Images, shape (n, channels, height, width); at least 2 samples. What `generate` returns can be given as it is.
    threshold
        A sample whose similarity to a training image exceeds this is a copy.
    vectors
        The convention of the similarity: `centred_unit_vectors`, or `unit_vectors` as in the paper, for which every
        smooth image is a copy at 0.95.
    confidence
        Probability of the intervals: that of Wilson for the share, that over samples for the mean.

    See Also
    --------
    gahb_theory.generate, gahb_theory.psnr_gap

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> x = Disks(size=16).sample(50)
    >>> print(copies(x[:10], x).share)
    1 [0.7225, 1] (95 % interval, Wilson, 10 of 10)
    """
    threshold = validate.number(threshold, "threshold", above=-1, below=1)
    confidence = check_confidence(confidence)
    samples = samples.images if isinstance(samples, Samples) else samples
    validate.images(samples, "samples", least=2)
    validate.images(train, "train")
    check_pair(samples[:1], train[:1], "train", "samples")
    nearest = closest(samples, train, 1, vectors)
    similarity = nearest.similarity[:, 0].cpu().double().numpy()
    hits = int((similarity > threshold).sum())
    return Copies(
        indices=nearest.indices[:, 0].cpu().numpy(),
        similarity=similarity,
        share=share_estimate(hits, len(similarity), confidence),
        mean=mean_estimate(similarity, confidence),
        threshold=threshold,
    )
