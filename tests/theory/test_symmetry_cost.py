"""The cost of symmetry: the potential as a denoiser of samples, cases without a cost, the bound of information."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gahb_theory.theory import symmetry_cost as module
from gahb_theory.theory.symmetry_cost import cost_of_symmetry

ROOT = Path(__file__).parents[2]
RANGE = {"amplitudes": (0.02, 0.5), "trained": (0.01, 2.0)}


def test_the_excess_is_that_of_a_gradient_on_samples() -> None:
    """The potential with G' = rho (1 - 1/t), whose excess is rho^2 / (1 - rho) (log t - mean)^2, in a million dimensions."""
    rho, d, sigma, centre = 0.25, 1_000_000, 0.3, 1.0
    inside = int(rho * d)
    for a in (0.1, 0.3, 1.0):
        generator = torch.Generator().manual_seed(0)
        x = torch.cat([a * torch.randn(inside, generator=generator), torch.zeros(d - inside)]).double()
        y = (x + sigma * torch.randn(d, generator=generator).double()).requires_grad_()
        s1, s2 = y[:inside].square().mean(), y[inside:].square().mean()
        t = s1 / s2
        phi = d * s2 * rho * (t - torch.log(t) + centre - 1) / 2
        (f,) = torch.autograd.grad(phi, y)
        measured = float((f - x).square().mean()) / sigma**2
        t0 = 1 + (a / sigma) ** 2
        expected = rho * (1 - 1 / t0) + rho**2 / (1 - rho) * (math.log(t0) - centre) ** 2
        assert measured == pytest.approx(expected, rel=0.02)


def test_the_best_potential_is_at_most_the_variance_of_information() -> None:
    cost = cost_of_symmetry([0.1], fraction=0.3, **RANGE)
    assert 0 < cost.mean_excess < cost.information_bound


def test_no_potential_on_the_grid_is_better() -> None:
    rho = 0.25
    nodes = np.linspace(0.1, 3.0, 60)
    mass = np.full(59, 1 / 59)
    t, excess = module._best(nodes, mass, rho)
    edges = np.exp(nodes)
    rng = np.random.default_rng(0)
    for _ in range(20):
        G = rho * (edges - nodes) + 0.3 * rng.standard_normal() * edges + 0.3 * rng.standard_normal()
        slope = np.diff(G) / np.diff(edges)
        value = G[:-1] + slope * (t - edges[:-1])
        e = rho * t * (slope / rho - 1 + 1 / t) ** 2 + (value - t * slope) ** 2 / (1 - rho)
        assert mass @ excess <= mass @ e + 1e-12


def test_images_of_one_signal_to_noise_ratio_cost_nothing() -> None:
    wide = cost_of_symmetry([0.1], fraction=0.25, amplitudes=(0.2, 0.2), trained=(0.01, 1.0))
    narrow = cost_of_symmetry([0.1], fraction=0.25, amplitudes=(0.2, 0.2), trained=(0.099, 0.101))
    assert narrow.mean_excess < 1e-4 * wide.mean_excess


def test_few_significant_coefficients_cost_little() -> None:
    costs = [cost_of_symmetry([0.1], fraction=rho, **RANGE).decibels[0] for rho in (0.01, 0.1, 0.4)]
    assert costs[0] < 0.3 * costs[1] < 0.3 * costs[2]


def test_the_grid_is_fine_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = cost_of_symmetry([0.02, 0.2, 1.0], fraction=0.25, **RANGE).decibels
    monkeypatch.setattr(module, "NODES", 250)
    assert cost_of_symmetry([0.02, 0.2, 1.0], fraction=0.25, **RANGE).decibels == pytest.approx(fine, rel=0.02)


def test_it_draws_and_exports() -> None:
    cost = cost_of_symmetry([0.1, 0.2], fraction=0.25, **RANGE)
    (line,) = cost.plot().lines
    assert tuple(line.get_ydata()) == cost.decibels == tuple(cost.to_dict()["decibels"])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"fraction": 1.0}, "fraction must lie below 1"),
        ({"fraction": 0.0}, "fraction"),
        ({"amplitudes": (0.5, 0.1)}, "smallest, largest"),
        ({"trained": (0.2, 1.0)}, "trained range"),
    ],
)
def test_refusals(given: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        cost_of_symmetry([0.1], **({"fraction": 0.25, "amplitudes": (0.1, 0.5)} | given))


def test_the_measured_costs_are_those_of_the_text():
    """docs/evidence.md: without the noise level 2.3 to 5.2 dB on photographs, with it at most .25; C^alpha images below .4."""
    rows = json.loads((ROOT / "experiments" / "results" / "symmetry_cost" / "psnr.json").read_text())

    def cost(name: str, blind: bool) -> np.ndarray:
        chosen = [row for row in rows if row["class"] == name and row["blind"] == blind]
        plain, gradient = (np.mean([r["psnr"] for r in chosen if r["gradient"] == g], 0) for g in (False, True))
        return plain - gradient

    assert (round(cost("photographs", True).min(), 1), round(cost("photographs", True).max(), 1)) == (2.3, 5.2)
    assert cost("photographs", False).max() < 0.255
    assert cost("C^alpha", True).max() < 0.4
