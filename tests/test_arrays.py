"""NumPy arrays in the place of images, coefficients, matrices and curves: the same results as from tensors."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.precision import takes_arrays

SIGMAS = np.array([0.1, 0.3])


def shrink(y, sigma):
    return 0.8 * y


def images():
    return gt.Disks(size=16).sample(4, seed=2).double()


CALLS = {
    "psnr": lambda x: gt.psnr(x, 0.9 * x),
    "psnr_curve": lambda x: gt.psnr_curve(shrink, x, SIGMAS).psnr,
    "add_noise": lambda x: gt.add_noise(x, 0.1),
    "analysis": lambda x: gt.Wavelet("db2").analysis(x),
    "synthesis": lambda x: gt.DCT().synthesis(x.reshape(4, -1)),
    "fit": lambda x: gt.PCA.fit(x, components=2).atoms,
    "compare": lambda x: gt.compare(gt.DCT(), gt.Wavelet("db2"), x, sigma=0.1).overlap,
    "oracle_mse": lambda x: gt.oracle_mse(gt.DCT(), x, 0.1),
    "gains": lambda x: gt.Hard(3.0)(x.reshape(4, -1), 0.1),
    "jacobian": lambda x: gt.jacobian(shrink, x[:1], 0.1).matrix(),
    "posterior mean": lambda x: gt.EmpiricalBayes(x)(images(), 0.1),
    "copies": lambda x: gt.copies(x, x).similarity,
    "split": lambda x: gt.split(x, threshold=0.99999).first,
    "sure": lambda x: gt.sure(shrink, x, 0.1),
    "adapted": lambda x: gt.Bandlet().at(x, threshold=0.1).analysis(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_arrays_give_what_tensors_give(name):
    x = images()
    np.testing.assert_array_equal(np.asarray(CALLS[name](x.numpy())), np.asarray(CALLS[name](x)))


def test_an_array_is_copied_and_its_type_kept():
    seen = []
    x = np.arange(6.0, dtype=">f4").reshape(2, 3)[:, ::-1]
    takes_arrays(seen.append)(x)
    assert seen[0].dtype == torch.float32 and seen[0].tolist() == x.tolist()
    x[0, 0] = 9
    assert seen[0][0, 0] == 2


def test_curves_and_words_pass_as_they_are():
    x = np.array([1.0, 2.0])
    a, b = takes_arrays(lambda a, *, b: (a, b))(x, b="c")
    assert a is x
    assert b == "c"


def test_pixels_of_8_bits_are_refused_with_the_remedy(unchecked):
    with pytest.raises(
        TypeError, match=r"must be floating point .* got torch.uint8; for 8-bit images use x.float\(\) / 255"
    ):
        gt.psnr(np.zeros((1, 1, 4, 4), np.uint8), np.zeros((1, 1, 4, 4), np.uint8))


def test_a_matrix_of_atoms_may_be_an_array(unchecked):
    basis = gt.bases.DenseBasis(np.eye(4)[:2], (1, 2, 2))
    assert basis.atoms.dtype == torch.float64 and basis.analysis(torch.ones(1, 1, 2, 2)).tolist() == [[1.0, 1.0]]
