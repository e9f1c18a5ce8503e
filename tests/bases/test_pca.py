import numpy as np
import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, PCA


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def planted(variances: Tensor, atoms: Tensor, mean: Tensor) -> Tensor:
    """Two images m +- a_k e_k for each atom: their sample covariance is exactly sum_k s_k e_k e_k^T."""
    amplitudes = (variances * (2 * len(variances) - 1) / 2).sqrt()
    arms = amplitudes[:, None] * atoms
    return (mean.flatten() + torch.cat([arms, -arms])).reshape(-1, *mean.shape[1:])


@pytest.mark.parametrize("components", [None, 3])
def test_a_planted_basis_is_recovered(components: int | None) -> None:
    atoms = torch.linalg.qr(uniform(8, 8) - 0.5)[0]
    variances = torch.tensor([9.0, 7.0, 4.0, 2.0, 1.0, 0.5, 0.1, 0.01], dtype=torch.float64)
    mean = uniform(1, 2, 2, 2, seed=1)
    basis = PCA.fit(planted(variances, atoms, mean), components)
    k = components or 8
    torch.testing.assert_close(basis.variances, variances[:k])
    torch.testing.assert_close(basis.mean, mean)
    torch.testing.assert_close((basis.atoms @ atoms.mT).abs(), torch.eye(8, dtype=torch.float64)[:k], rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [2, 5, 12, 13, 40, 2500])  # fewer, as many and more images than the 12 pixels
def test_equals_the_sample_covariance(n: int) -> None:
    images = uniform(n, 1, 3, 4)
    basis = PCA.fit(images)
    covariance = torch.from_numpy(np.cov(images.flatten(1).numpy(), rowvar=False))
    rebuilt = basis.atoms.mT @ (basis.variances[:, None] * basis.atoms)
    torch.testing.assert_close(rebuilt, covariance, rtol=0, atol=1e-12)
    torch.testing.assert_close(basis.mean, images.mean(dim=0, keepdim=True))
    assert bool((basis.variances.diff() <= 0).all())
    assert bool((basis.variances >= 0).all())


def test_fewer_images_than_pixels_still_give_a_complete_basis() -> None:
    basis = PCA.fit(uniform(4, 1, 6, 6))
    assert basis.atoms.shape == (36, 36)
    torch.testing.assert_close(basis.atoms @ basis.atoms.mT, torch.eye(36, dtype=torch.float64), rtol=0, atol=1e-12)
    assert bool((basis.variances[:3] > 1e-3).all())
    torch.testing.assert_close(basis.variances[3:], torch.zeros(33, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "components"), [(4, 2), (4, 6), (50, 6), (9, 9)])
def test_a_partial_basis_projects(n: int, components: int) -> None:
    basis = PCA.fit(uniform(n, 1, 3, 3), components)
    assert basis.atoms.shape == (components, 9)
    assert basis.variances.shape == (components,)
    x = uniform(2, 1, 3, 3, seed=1)
    once = basis.synthesis(basis.analysis(x))
    torch.testing.assert_close(basis.synthesis(basis.analysis(once)), once)
    torch.testing.assert_close(((x - once) * once).sum(), torch.tensor(0.0, dtype=torch.float64), rtol=0, atol=1e-12)


def test_no_basis_keeps_more_energy_in_its_first_terms() -> None:
    images = uniform(60, 1, 4, 4).cumsum(dim=-1)
    basis = PCA.fit(images)
    centred = images - basis.mean

    def kept(c: Tensor) -> Tensor:
        return c.square().mean(dim=0).sort(descending=True).values.cumsum(dim=0)

    assert bool((kept(basis.analysis(centred)) >= kept(DCT().analysis(centred)) - 1e-12).all())


def test_the_analysis_is_linear_and_does_not_centre() -> None:
    basis = PCA.fit(uniform(30, 1, 3, 3))
    assert basis.analysis(torch.zeros(1, 1, 3, 3, dtype=torch.float64)).abs().max() == 0
    torch.testing.assert_close(basis.analysis(basis.mean), (basis.atoms @ basis.mean.flatten())[None])


def test_single_precision_images_give_a_basis_that_is_accurate_to_single_precision() -> None:
    images = (uniform(300, 1, 8, 8) + 100).float()  # a float32 covariance of these would be noise
    basis = PCA.fit(images)
    assert {basis.atoms.dtype, basis.variances.dtype, basis.mean.dtype} == {torch.float32}
    torch.testing.assert_close(basis.variances, PCA.fit(images.double()).variances.float())
    torch.testing.assert_close(basis.atoms @ basis.atoms.mT, torch.eye(64), rtol=0, atol=1e-6)


def test_the_input_decides_the_dtype() -> None:
    basis = PCA.fit(uniform(5, 1, 2, 2))
    c = basis.analysis(uniform(1, 1, 2, 2, dtype=torch.float32))
    assert c.dtype == torch.float32
    assert basis.synthesis(c).dtype == torch.float32


def test_colour_images_come_back_in_their_shape() -> None:
    images = uniform(5, 3, 2, 4)
    basis = PCA.fit(images)
    torch.testing.assert_close(basis.synthesis(basis.analysis(images)), images)


def test_signs_are_fixed() -> None:
    atoms = PCA.fit(uniform(20, 1, 3, 3)).atoms
    assert bool((atoms.gather(1, atoms.abs().argmax(dim=1, keepdim=True)) > 0).all())


def test_fitting_leaves_no_graph() -> None:
    assert not PCA.fit(uniform(5, 1, 2, 2).requires_grad_()).atoms.requires_grad


def test_bad_fits_are_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        PCA.fit(uniform(1, 1, 4, 4))
    for components in (0, 17):
        with pytest.raises(ValueError, match=f"components must be between 1 and 16, got {components}"):
            PCA.fit(uniform(3, 1, 4, 4), components)
    with pytest.raises(ValueError, match="images must be finite"):
        PCA.fit(torch.full((3, 1, 4, 4), torch.nan))


def test_other_sizes_are_refused(unchecked: None) -> None:
    basis = PCA.fit(uniform(3, 1, 4, 4), components=2)
    with pytest.raises(ValueError, match=r"are images of shape \(1, 4, 4\), got images of shape \(1, 4, 5\)"):
        basis.analysis(uniform(1, 1, 4, 5))
    with pytest.raises(ValueError, match=r"c must hold 2 coefficients for each image, got shape \(1, 16\)"):
        basis.synthesis(uniform(1, 16))


def test_inconsistent_parts_are_refused(unchecked: None) -> None:
    basis = PCA.fit(uniform(3, 1, 2, 2))
    with pytest.raises(ValueError, match="one number for each of the 4 atoms, got shape"):
        PCA(basis.atoms, basis.variances[:2], basis.mean)
    with pytest.raises(ValueError, match="atoms must hold 4 coefficients"):
        PCA(basis.atoms[:, :3], basis.variances, basis.mean)


@pytest.mark.parametrize(("n", "components"), [(20, None), (20, 12), (20, 40), (64, None), (64, 64), (2, None)])
def test_few_images_have_the_components_of_their_singular_value_decomposition(n, components):
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    basis = PCA.fit(x, components=components)
    centred = x.flatten(1) - x.flatten(1).mean(0)
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    count = 64 if components is None else components
    span = min(n - 1, count)  # the last singular value of centred images is 0
    assert basis.atoms.shape == (count, 64)
    assert torch.allclose(basis.variances[:span], values[:span].square() / (n - 1), rtol=1e-12)
    assert float(basis.variances[span:].sum()) < 1e-25
    assert torch.allclose((basis.atoms[:span] * rows[:span]).sum(1).abs(), torch.ones(span, dtype=torch.float64))
    assert torch.allclose(basis.atoms @ basis.atoms.mT, torch.eye(count, dtype=torch.float64), atol=1e-13)


def test_atoms_of_no_variance_do_not_depend_on_rounding():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(20, 1, 8, 8, generator=generator, dtype=torch.float64)
    moved = x * (1 + 1e-14 * torch.randn(x.shape, generator=generator, dtype=torch.float64))
    assert torch.allclose(PCA.fit(x).atoms, PCA.fit(moved).atoms, atol=1e-9)
