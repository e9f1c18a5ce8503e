"""Similarities: both conventions, constants, blocks, refusals."""

import pytest
import torch

from gahb_theory.metrics import similarity
from gahb_theory.metrics.similarity import centred_unit_vectors, closest, cosine_similarity, unit_vectors


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_two_conventions():
    a, b = uniform(5, 2, 4, 4), uniform(5, 2, 4, 4, seed=1)
    flat_a, flat_b = a.flatten(1), b.flatten(1)
    expected = torch.nn.functional.cosine_similarity(flat_a, flat_b)
    torch.testing.assert_close(cosine_similarity(a, b, unit_vectors), expected)
    correlations = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(flat_a, flat_b, strict=True)])
    torch.testing.assert_close(cosine_similarity(a, b), correlations)
    torch.testing.assert_close(cosine_similarity(a, 3 * a + 2), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(centred_unit_vectors(a).norm(dim=1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_image_is_like_nothing(dtype):
    constant = torch.full((1, 1, 5, 7), 0.1, dtype=dtype)
    image = uniform(1, 1, 5, 7).to(dtype)
    assert float(cosine_similarity(constant, image)) == 0.0
    assert float(cosine_similarity(constant, constant)) == 0.0
    assert float(cosine_similarity(0 * constant, image, unit_vectors)) == 0.0


@pytest.mark.parametrize("vectors", [unit_vectors, centred_unit_vectors])
def test_closest_is_the_largest_of_all_similarities(monkeypatch, vectors):
    x, reference = uniform(23, 1, 4, 4), uniform(50, 1, 4, 4, seed=1)
    expected = (vectors(x) @ vectors(reference).mT).topk(3, dim=1)
    for queries, references in ((1024, 4096), (7, 2), (5, 50), (23, 11)):
        monkeypatch.setattr(similarity, "QUERIES", queries)
        monkeypatch.setattr(similarity, "REFERENCES", references)
        found = closest(x, reference, 3, vectors)
        assert torch.equal(found.indices, expected.indices)
        torch.testing.assert_close(found.similarity, expected.values)


def test_refusals(unchecked):
    x = uniform(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"b must hold images of the same shape, \(2, 1, 4, 4\), got \(2, 1, 4, 5\)"):
        cosine_similarity(x, uniform(2, 1, 4, 5))
    with pytest.raises(ValueError, match="reference must hold images of the same shape"):
        closest(x, uniform(3, 1, 5, 5))
    with pytest.raises(ValueError, match="k must be between 1 and 3, got 4"):
        closest(x, uniform(3, 1, 4, 4), k=4)
    with pytest.raises(ValueError, match="reference must be finite"):
        closest(x, torch.full((3, 1, 4, 4), torch.nan))
    with pytest.raises(TypeError, match="a must be floating point"):
        cosine_similarity(torch.ones(1, 1, 2, 2, dtype=torch.uint8), x[:1])
