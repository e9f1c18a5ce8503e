"""Where two paths part: constructed denoisers that part at a known level, and what is refused."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.metrics.similarity import unit_vectors
from gahb_theory.sampling import Parting, compare_paths, generate, growing_step, karras_levels, probability_flow

SHAPE = (1, 4, 4)
A = torch.linspace(-1, 1, 16).reshape(1, *SHAPE)
B = (torch.arange(16) % 2 * 2.0 - 1).reshape(1, *SHAPE)
LEVELS = tuple(torch.logspace(0, -2, 41, dtype=torch.float64).tolist())


def towards(image, at):
    """A common estimate, 0.3 A, at noise levels above `at`, and an image of its own from there on."""
    return lambda y, sigma: (0.3 * A if float(sigma) > at else image).to(y).expand_as(y)


@pytest.mark.parametrize("at", [0.3, 0.05])
def test_paths_part_at_the_level_where_the_estimates_do(at):
    a, b = (probability_flow(towards(x, at), (3, *SHAPE), sigmas=LEVELS, every=1) for x in (A, B))
    parting = compare_paths(a, b, sigmas=LEVELS)
    first = max(level for level in LEVELS if level <= at)
    torch.testing.assert_close(parting.parted_at.double(), torch.full((3,), first).double(), rtol=1e-5, atol=0)
    assert parting.share_parted == 1
    together = parting.sigmas > at
    torch.testing.assert_close(parting.cosine[together], torch.ones_like(parting.cosine[together]))
    centred = [(x - x.mean()).flatten() for x in (A, B)]
    cosine = float(centred[0] @ centred[1] / (centred[0].norm() * centred[1].norm()))
    torch.testing.assert_close(parting.cosine[-1], torch.full((3,), cosine))
    torch.testing.assert_close(parting.distance[-1], torch.full((3,), float((A - B).square().mean().sqrt())))
    assert float(parting.distance[together].max()) == float(parting.noisy_distance[0].max()) == 0
    assert float(parting.noisy_distance[-1].min()) > 0.5


def test_paths_that_meet_again_have_not_parted():
    def wanders(y, sigma):
        return (B if 0.1 < float(sigma) < 0.3 else A).to(y).expand_as(y)

    a = probability_flow(towards(A, 2.0), (2, *SHAPE), sigmas=LEVELS, every=1)
    b = probability_flow(wanders, (2, *SHAPE), sigmas=LEVELS, every=1)
    parting = compare_paths(a, b, sigmas=LEVELS)
    assert float(parting.cosine.min()) < 0.5
    assert bool(parting.parted_at.isnan().all())
    assert parting.share_parted == 0


def test_samplers_with_levels_of_their_own_are_compared_at_equal_levels():
    """A blind denoiser reads its level from the residual, so that steps and levels differ."""

    def blind(gain):
        return lambda y, sigma: gain * y + (0.5 - gain / 2)

    arguments = {"every": 1, "step": growing_step(0.05), "beta": 0.5}
    a, b = (generate(blind(gain), (4, *SHAPE), **arguments) for gain in (0.2, 0.5))
    assert not torch.equal(a.steps, b.steps)
    parting = compare_paths(a, b, vectors=unit_vectors)
    assert len(parting.sigmas) == 32
    way, index = a.trajectory, 10
    level = float(parting.sigmas[index])
    step = int((way.sigma[:, 2] <= level * (1 + 1e-5)).int().argmax())
    other = b.trajectory.denoised[int((b.trajectory.sigma[:, 2] <= level * (1 + 1e-5)).int().argmax()), 2]
    expected = (way.denoised[step, 2] - other).square().mean().sqrt()
    torch.testing.assert_close(parting.distance[index, 2], expected)
    assert float(way.sigma[step - 1, 2]) > level


def test_memorisers_part_and_linear_denoisers_of_one_distribution_do_not(generator):
    x = gt.Disks(size=16)
    memory = [gt.EmpiricalBayes(torch.rand(10, 1, 16, 16, generator=generator)) for _ in (0, 1)]
    wiener = [gt.GaussianDenoiser.fit(x.sample(2000, seed=k)) for k in (0, 1)]
    levels = karras_levels(24, sigma_0=2.0, sigma_inf=0.02)
    share = []
    for pair in (memory, wiener):
        a, b = (probability_flow(f, (12, 1, 16, 16), sigmas=levels, every=1, dtype=torch.float64) for f in pair)
        share.append(compare_paths(a, b).share_parted)
    assert share[0] == 1
    assert share[1] < 0.2  # a linear filter agrees, too: agreement alone shows no learning


def test_the_result_is_drawn_written_and_printed(tmp_path):
    a, b = (probability_flow(towards(x, 0.1), (3, *SHAPE), sigmas=LEVELS, every=1) for x in (A, B))
    parting = compare_paths(a, b)
    ax = parting.plot()
    low, high = ax.get_ylim()
    assert low < -1 < 1 < high
    assert ax.get_xlim()[0] > ax.get_xlim()[1]
    assert len(ax.get_lines()[0].get_xdata()) == 32
    assert parting.to_dict()["below"] == 0.5
    assert parting.save(tmp_path / "parting.json").exists()
    assert repr(parting).startswith("Parting")
    assert isinstance(parting, Parting)


def test_refusals(unchecked):
    f = towards(A, 2.0)
    a = probability_flow(f, (2, *SHAPE), sigmas=LEVELS, every=1)
    for change, error, message in (
        ({"b": probability_flow(f, (2, *SHAPE), sigmas=LEVELS)}, ValueError, "draw them with every=1"),
        ({"b": probability_flow(f, (2, *SHAPE), sigmas=LEVELS, every=1, seed=1)}, ValueError, "different noise"),
        ({"b": probability_flow(f, (3, *SHAPE), sigmas=LEVELS, every=1)}, ValueError, "as many images"),
        ({"b": a.images}, TypeError, "must be what generate returns"),
        ({"below": 2.0}, ValueError, "between -1 and 1"),
        ({"below": math.nan}, ValueError, "below must be finite"),
        ({"sigmas": ()}, ValueError, "at least one noise level"),
    ):
        with pytest.raises(error, match=message):
            compare_paths(**({"a": a, "b": a} | change))
