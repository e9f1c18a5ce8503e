"""What all results share: one printed line for each quantity, a dictionary, a JSON file, and a figure."""

import importlib
import inspect
import json
import pkgutil

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import generalization as g
from gahb_theory import jacobians as j
from gahb_theory import runs
from gahb_theory.comparison import quantities
from gahb_theory.comparison.alignment import align
from gahb_theory.metrics.similarity import closest
from gahb_theory.sampling.exact_moments import Moments
from gahb_theory.stored_results import Result

SIGMAS = [0.1, 0.3]


def blur(y, sigma):
    return 0.8 * y


def jacobian():
    gains = torch.linspace(1, 0, 16).reshape(1, 1, 4, 4)
    return gt.jacobian(lambda y, sigma: gains * y, torch.full((1, 1, 4, 4), 0.5), sigma=0.1)


def gaussian(variance):
    return gt.GaussianDenoiser(torch.zeros(1, 1, 2, 2), variance * torch.eye(4))


def disks(n=6):
    return gt.Disks(size=16).sample(n, seed=1)


RESULTS = {
    "schur": lambda: jacobian().schur(),
    "samples": lambda: gt.generate(blur, (2, 1, 8, 8), max_steps=3),
    "trajectory": lambda: gt.generate(blur, (2, 1, 8, 8), max_steps=3, every=1).trajectory,
    "closest": lambda: closest(disks(3), disks(), 2),
    "log-likelihood": lambda: gt.theory.log_likelihood(
        gaussian(1.0), torch.ones(2, 1, 2, 2), (0.02, 50.0), reference=gaussian(2.0), strata=8, draws=2
    ),
    "divergence": lambda: gt.theory.kl_divergence(
        gaussian(1.0), gaussian(2.0), torch.ones(4, 1, 2, 2), (0.02, 50.0), strata=8, draws=2
    ),
    "moments": lambda: Moments(torch.zeros(4), torch.eye(4)),
    "alignment": lambda: align(gt.DCT().atom_images([0, 1], (1, 16, 16)), gt.CAlpha(size=16).scene(1).coverage),
    "symmetry cost": lambda: gt.theory.cost_of_symmetry([0.1, 1.0], fraction=0.25, amplitudes=(0.02, 0.5)),
    "psnr curve": lambda: gt.psnr_curve(blur, disks(), SIGMAS),
    "psnr gap": lambda: g.psnr_gap(blur, disks(3), disks(4), SIGMAS),
    "distance": lambda: g.function_distance(blur, lambda y, sigma: y, disks(), SIGMAS),
    "paired similarity": lambda: g.paired_similarity(disks(), 0.5 * disks()),
    "copies": lambda: gt.copies(disks(3), disks()),
    "oracle risks": lambda: gt.theory.oracle_risks(gt.Wavelet("db2"), disks(), 0.1),
    "singular values": lambda: jacobian().svd(3),
    "eigenvalues": lambda: jacobian().eig(),
    "posterior": lambda: j.posterior_components(jacobian(), 0.1, k=3),
    "dimension": lambda: j.dimension_by_gap(torch.tensor([1.0, 0.9, 0.1])),
    "path": lambda: j.eigenbasis_path(blur, disks(1), SIGMAS, k=2),
    "comparison": lambda: gt.compare(gt.DCT(), gt.Wavelet("db2"), disks(1), sigma=0.1),
}
WITHOUT_FIGURE = {
    "polar": lambda: jacobian().polar(),
    "behaviour": lambda: g.measure_behaviour(blur, (1, 8, 8)),
    "split": lambda: gt.split(disks(8)),
    "scene": lambda: gt.CAlpha(size=16).scene(2),
    "trace identity": lambda: gt.theory.trace_identity(blur, disks(), 0.1),
}
ONE_NUMBER = "numbers of one image or one noise level, which the repr shows whole"
SCENE = "ground truth of images: `report.figures.gallery` shows the images"
TABLE = "a table; `gahb report` writes its page"
WITHOUT_PLOT = {
    "Audit": TABLE,
    "BayesRisk": "an interval at one noise level; `Optimality.plot` draws it over noise levels",
    "Behaviour": ONE_NUMBER,
    "CAlphaScene": SCENE,
    "Card": TABLE,
    "ClosedContours": SCENE,
    "Cost": TABLE,
    "DeadLeavesScene": SCENE,
    "FiniteDataWiener": ONE_NUMBER,
    "GaussianFieldScene": SCENE,
    "GraphContours": SCENE,
    "HolderBallScene": SCENE,
    "ManifoldScene": SCENE,
    "JacobianCosts": TABLE,
    "Method": "one line of `Performance.plot`",
    "PhotographsScene": SCENE,
    "Polar": ONE_NUMBER,
    "PosteriorMoments": ONE_NUMBER,
    "Probe": ONE_NUMBER,
    "RegionCovariance": "an operator on images",
    "Reproduction": ONE_NUMBER,
    "ShuffledScene": SCENE,
    "Side": "one of the two bases of `Comparison.plot`",
    "Split": "indices of images",
    "StationaryCovariance": "an operator on images",
    "SubspaceDimension": ONE_NUMBER,
    "TraceEstimate": ONE_NUMBER,
    "TraceIdentity": ONE_NUMBER,
    "WindowRows": "rows of a matrix",
}
ALL = RESULTS | WITHOUT_FIGURE


@pytest.mark.parametrize("name", ALL)
def test_a_result_prints_lines_and_no_arrays(name):
    lines = repr(ALL[name]()).splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 130 and "tensor(" not in line and "array(" not in line for line in lines)


@pytest.mark.parametrize("name", ALL)
def test_a_result_is_written_as_json_and_read(name, tmp_path):
    result = ALL[name]()
    content = result.to_dict()
    json.dumps(runs.to_json({key: value for key, value in content.items() if key not in ("values", "vectors")}))
    assert runs.read_json(result.save(tmp_path / "r.json")).keys() == content.keys()


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_draws_on_the_axes_it_is_given(name):
    from matplotlib.figure import Figure

    result, ax = RESULTS[name](), Figure().subplots()
    assert result.plot(ax) is ax
    assert ax.has_data()
    assert result.plot().figure is not ax.figure


def test_a_line_says_shape_and_range():
    curve = gt.psnr_curve(blur, disks(), SIGMAS)
    assert f"  {'sigmas':22}shape (2,), 0.1 to 0.3" in repr(curve).splitlines()
    assert curve.to_dict()["mse_per_image"] == curve.mse_per_image.tolist()
    np.testing.assert_array_equal(curve.to_dict()["psnr"], curve.psnr)


def test_a_basis_prints_what_it_is():
    assert repr(jacobian().eigenbasis(3)) == "Eigenbasis of 3 atoms of shape (1, 4, 4)"
    assert repr(gt.PCA.fit(disks(), components=2)) == "PCA of 2 atoms of shape (1, 16, 16)"


def results():
    """Every class of results of the package."""
    for module in pkgutil.walk_packages(gt.__path__, "gahb_theory."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, left = set(), [Result]
    while left:
        left += (below := left.pop().__subclasses__())
        found |= {c for c in below if c.__module__.startswith("gahb_theory.") and not c.__name__.startswith("_")}
    return sorted(found - {quantities.Result}, key=lambda c: c.__name__)


def test_every_result_draws_or_says_why_not():
    classes = results()
    assert len(classes) > 50
    assert {c.__name__ for c in classes if not hasattr(c, "plot")} == WITHOUT_PLOT.keys()
    for c in classes:
        assert c.__dataclass_params__.frozen, c
        assert "__dataclass_fields__" in vars(c) and not c.__repr__.__qualname__.startswith("__create_fn__"), c
        if hasattr(c, "plot"):
            assert [p.default for p in inspect.signature(c.plot).parameters.values()][1] is None, c
