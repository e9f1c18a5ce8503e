"""What all results share: one printed line for each quantity, a dictionary, a JSON file, and a figure."""

import json

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import generalization as g
from gahb_theory import jacobians as j
from gahb_theory import runs

SIGMAS = [0.1, 0.3]


def blur(y, sigma):
    return 0.8 * y


def jacobian():
    gains = torch.linspace(1, 0, 16).reshape(1, 1, 4, 4)
    return gt.jacobian(lambda y, sigma: gains * y, torch.full((1, 1, 4, 4), 0.5), sigma=0.1)


def disks(n=6):
    return gt.Disks(size=16).sample(n, seed=1)


RESULTS = {
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
    "schur": lambda: jacobian().schur(),
    "polar": lambda: jacobian().polar(),
    "behaviour": lambda: g.measure_behaviour(blur, (1, 8, 8)),
    "split": lambda: gt.split(disks(8)),
    "scene": lambda: gt.CAlpha(size=16).scene(2),
    "trace identity": lambda: gt.theory.trace_identity(blur, disks(), 0.1),
    "samples": lambda: gt.generate(blur, (2, 1, 8, 8), max_steps=3),
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
