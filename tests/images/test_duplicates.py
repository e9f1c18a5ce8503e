"""Near-duplicates, against all pairs at once."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.images.halves import near_duplicates


def test_planted_copies_are_found():
    x = gt.GaussianField(1.0, size=24).sample(40)
    brighter = 0.7 * x[[3, 17]] + 0.2
    noisy = gt.add_noise(x[5:6], 0.01)
    found = near_duplicates(torch.cat([x, brighter, noisy, x[3:4]]))
    assert found.pairs.tolist() == [[3, 40], [3, 43], [5, 42], [17, 41], [40, 43]]
    assert float(found.similarity.min()) > 0.95
    assert found.keep.tolist() == list(range(40))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_change_nothing(block):
    x = gt.CAlpha(size=16).sample(50)
    found = near_duplicates(x, threshold=0.9, block=block)
    small = x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True)  # 16 x 16 is not reduced
    cosine = torch.corrcoef(small)
    expected = torch.nonzero(cosine.triu(1) > 0.9)
    assert 0 < len(expected) < 50 * 49 / 2
    assert torch.equal(found.pairs, expected)
    torch.testing.assert_close(found.similarity, cosine[expected[:, 0], expected[:, 1]], rtol=0, atol=1e-5)


def test_large_images_are_reduced():
    fine = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    same_means = fine.clone()
    same_means[..., ::2, :], same_means[..., 1::2, :] = fine[..., 1::2, :], fine[..., ::2, :]
    assert near_duplicates(torch.cat([fine, same_means])).pairs.tolist() == [[0, 1]]


def test_constant_images_are_like_no_other():
    assert near_duplicates(torch.ones(3, 1, 8, 8)).pairs.shape == (0, 2)


def test_a_dataset_will_do(tmp_path):
    data = gt.dataset(tmp_path / "x.npy", gt.Disks(size=16), 8)
    assert torch.equal(near_duplicates(data, 0.5, block=3).pairs, near_duplicates(data.images(), 0.5).pairs)


def test_bad_input_is_refused(unchecked):
    with pytest.raises(ValueError, match=r"threshold must lie in \(0, 1\)"):
        near_duplicates(torch.ones(2, 1, 4, 4), threshold=1.0)
    with pytest.raises(TypeError, match="images must be a tensor"):
        near_duplicates(3)
