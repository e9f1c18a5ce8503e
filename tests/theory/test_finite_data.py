"""The predictions for Wiener filters of few images against filters that are fitted."""

import pytest
import torch

from gahb_theory.theory.exact_risks import gaussian_mse
from gahb_theory.theory.finite_data import finite_data_wiener

D = 96
VARIANCES = torch.arange(1, D + 1, dtype=torch.float64) ** -1.5


def simulated(n: int, sigma: float, repeats: int = 24) -> torch.Tensor:
    """Errors on training images and others, and the distance of two filters, exact averages over fresh images and noise."""
    generator, found = torch.Generator().manual_seed(n), []
    eye, truth = torch.eye(D, dtype=torch.float64), torch.diag(VARIANCES)
    for _ in range(repeats):
        filters, moments = [], []
        for _ in range(2):
            x = torch.randn(n, D, generator=generator, dtype=torch.float64) * VARIANCES.sqrt()
            moments.append(x.mT @ x / n)
            filters.append(moments[-1] @ torch.linalg.inv(moments[-1] + sigma**2 * eye))
        a, b = filters
        noise = sigma**2 * a.square().sum()
        errors = [((eye - a) @ c @ (eye - a).mT).trace() + noise for c in (moments[0], truth)]
        found.append(torch.stack([*errors, ((a - b) @ (truth + sigma**2 * eye) @ (a - b).mT).trace()]))
    return torch.stack(found).mean(dim=0)


@pytest.mark.parametrize("n", [24, 96, 400])
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_the_prediction_is_what_fitted_filters_do(n: int, sigma: float) -> None:
    train, test, distance = simulated(n, sigma).tolist()
    found = finite_data_wiener(VARIANCES, n, sigma)
    assert found.train == pytest.approx(train, rel=0.03)
    assert found.test == pytest.approx(test, rel=0.03)
    assert found.gap == pytest.approx(test - train, rel=0.08)
    assert found.distance == pytest.approx(distance, rel=0.08)


def test_the_true_filter_in_their_place_would_predict_no_gap() -> None:
    """kappa = sigma^2 is wrong by far: the test sees it."""
    found = finite_data_wiener(VARIANCES, 24, 0.1)
    assert found.kappa > 3 * 0.1**2
    assert found.gap > 0.5 * found.train
    assert found.test > 1.3 * found.optimum


def test_many_images_are_all_images() -> None:
    found = finite_data_wiener(VARIANCES, 10**8, 0.3)
    assert found.kappa == pytest.approx(0.09, rel=1e-5)
    assert (
        found.test
        == pytest.approx(found.optimum, rel=1e-4)
        == pytest.approx(float(gaussian_mse(VARIANCES, 0.3)), rel=1e-4)
    )
    assert 0 < found.ratio < 1e-4


def test_refusals(unchecked: None) -> None:
    with pytest.raises(ValueError, match="hold no value below 0 and one above"):
        finite_data_wiener(-VARIANCES, 10, 0.1)
    with pytest.raises(ValueError, match="images must be"):
        finite_data_wiener(VARIANCES, 0, 0.1)
