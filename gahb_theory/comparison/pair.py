"""Put two bases side by side."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases import Basis, Eigenbasis, RandomBasis
from gahb_theory.comparison import measures
from gahb_theory.comparison.alignment import align
from gahb_theory.comparison.result import Comparison, Side
from gahb_theory.jacobians import Jacobian, subspace_dimension
from gahb_theory.precision import full_precision, takes_arrays, wide
from gahb_theory.shrinkage import oracle_gains
from gahb_theory.theory import decay_exponent, oracle_mse

__all__ = ["compare"]

ENOUGH = 0.99
SHOWN = 32


@full_precision
@takes_arrays
def compare(
    a: Basis | Jacobian,
    b: Basis | Jacobian,
    x: Float[Tensor, "n c h w"] | None = None,
    sigma: float | None = None,
    *,
    shape: tuple[int, int, int] | None = None,
    rank: int | None = None,
    coverage: Float[Tensor, "1 1 h w"] | None = None,
    contour: Float[Tensor, "1 w"] | None = None,
    names: tuple[str, str] | None = None,
    eigenbasis: Eigenbasis | None = None,
    cluster: float = 1e-3,
    seed: int = 0,
) -> Comparison:
    """Compare two orthonormal bases, or the eigenbasis of a Jacobian with a basis.

    Atoms that come with eigenvalues or variances are taken in their order. Those of any other basis are taken in the order
    of the mean over images of <x, e_k>^2 if images are given, else as they come.

    Parameters
    ----------
    a, b
        Bases, possibly partial, or Jacobians, whose eigenbasis is then taken. Adaptive bases must be adapted to one image.
    x
        Clean images, shape (n, channels, height, width), for energies, decay and oracle risks; one image is usual.
    sigma
        Noise level for oracle risks, gains, and the weighted overlap; it needs `x`.
    shape
        (channels, height, width), where neither `x` nor the bases tell it.
    rank
        Number of atoms for principal angles, coherence and Procrustes; None takes the number of coefficients of `x`
        above the noise in the second basis, or an eighth of the pixels, and no more than either basis has.
    coverage, contour
        Ground truth of a contour, see `align`, such as fields of `CAlpha().scene(1)`.
    names
        How to call the two in tables and figures.
    eigenbasis
        All eigenvectors of `a`, a Jacobian, where they are at hand; computed if None.
    cluster
        Eigenvalues that differ by no more belong to one cluster.
    seed
        Of the random span that principal angles are compared with.

    Returns
    -------
    A `Comparison`.

    Raises
    ------
    ValueError
        If a basis is a redundant frame, or if the shapes do not fit.

    See Also
    --------
    gahb_theory.jacobian, gahb_theory.Eigenbasis, gahb_theory.oracle_mse

    Examples
    --------
    >>> from gahb_theory.bases import DCT, Wavelet
    >>> from gahb_theory.images import CAlpha
    >>> result = compare(DCT(), Wavelet("db4"), CAlpha(alpha=2.0, size=32).sample(1), sigma=0.05)
    >>> result.second.oracle_mse < result.first.oracle_mse
    True
    """
    if sigma is not None and x is None:
        raise ValueError("sigma needs images x: the oracle looks at their coefficients")
    for one, word in ((a, "a"), (b, "b")):
        if not isinstance(one, Basis | Jacobian):
            raise TypeError(f"{word} must be a Basis such as Wavelet('db4'), or a Jacobian, got {type(one).__name__}")
    x = None if x is None else wide(validate.images(x, "x"))
    sigma = None if sigma is None else validate.sigma_level(sigma)
    shape = None if shape is None else _three(validate.sizes(shape, 3))
    cluster, seed = validate.number(cluster, "cluster", least=0), validate.seed(seed)
    if names is not None and not (
        isinstance(names, tuple | list) and len(names) == 2 and all(isinstance(name, str) for name in names)
    ):
        raise TypeError(f'names must be two words such as ("network", "bandlets"), got {names!r:.60}')
    if contour is not None:
        validate.coefficients(contour, name="contour")
    if eigenbasis is not None and not (isinstance(a, Jacobian) and isinstance(eigenbasis, Eigenbasis)):
        raise TypeError("eigenbasis is that of the Jacobian a: give a=J and eigenbasis=J.eigenbasis(), or leave it out")
    bases = [side.eigenbasis() if isinstance(side, Jacobian) else side for side in (eigenbasis or a, b)]
    target = _shape(bases, x, shape)
    like = torch.zeros((), dtype=torch.float64, device="cpu") if x is None else x
    called = names or _names(bases)
    atoms, sides = [], []
    for given, basis, name in zip((a, b), bases, called, strict=True):
        rows = _atoms(basis, target, like)
        order = _order(basis, x)
        rows = rows if order is None else rows[order]
        atoms.append(rows)
        side = _side(basis, rows, name, x, sigma, target, coverage, contour)
        sides.append(_with_denoiser(side, given, x) if isinstance(given, Jacobian) else side)
    u, v = atoms
    gram = measures.Gram(_products(u, bases[1], v, x, target), u.shape[1])
    above = None if x is None or sigma is None else _above(x, sigma, v)
    count = None if above is None else int(above.sum())
    response = response_of_chance = None
    if isinstance(a, Jacobian) and above is not None and not bool(above.all()):
        response, response_of_chance = _responses(a, v, above)
    fits = min(len(u), len(v))
    if rank is None:
        rank = max(1, min(fits, target[0] * target[1] * target[2] // 8 if count is None else count))
    rank = validate.integer(rank, "rank", 1, fits)
    d = u.shape[1]
    ranks = np.unique([*np.geomspace(1, fits, 40).round().astype(int), rank])
    chance = np.array([measures.overlap_of_chance(int(r), int(r), d) for r in ranks])
    null = RandomBasis.draw(target, components=rank, seed=seed).atoms.to(u)
    gains = sides[0].gains
    weights = None if gains is None else torch.from_numpy(gains).to(u)
    eigenvalues = bases[0].eigenvalues if isinstance(bases[0], Eigenbasis) else None
    distance = None
    if eigenvalues is not None:
        distances, sizes = gram.part(rank).procrustes(eigenvalues[:rank].to(u), cluster)
        distance = float((distances.square() * torch.tensor(sizes, dtype=u.dtype, device=u.device)).sum() / rank) ** 0.5
    return Comparison(
        first=sides[0],
        second=sides[1],
        dimension=d,
        images=0 if x is None else len(x),
        sigma=sigma,
        rank=rank,
        angles=np.degrees(gram.principal_angles(rank).cpu().double().numpy()),
        angles_of_chance=np.degrees(measures.principal_angles(u[:rank], null).cpu().double().numpy()),
        ranks=ranks,
        overlap=gram.overlap_curve(ranks.tolist()).cpu().double().numpy(),
        overlap_of_chance=chance[:, 0],
        overlap_spread=chance[:, 1],
        weighted_overlap=None if weights is None or above is None else gram.weighted_overlap(weights, above),
        weighted_rank=None if weights is None else count,
        coherence=gram.part(rank).coherence(),
        effective_atoms=float(gram.part(rank).effective_atoms().mean()),
        response=response,
        response_of_chance=response_of_chance,
        procrustes=distance,
        band_of_chance=None if coverage is None else align(v[:1].reshape(1, *target), coverage).band_of_chance,
    )


def _three(sizes: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = sizes
    return channels, height, width


def _side(
    basis: Basis,
    rows: Tensor,
    name: str,
    x: Tensor | None,
    sigma: float | None,
    shape: tuple[int, int, int],
    coverage: Tensor | None,
    contour: Tensor | None,
) -> Side:
    """One basis by itself; `rows` are its atoms in the order that is compared."""
    numbers: dict[str, Any] = dict.fromkeys(
        ("energy", "best_energy", "energy_area", "terms", "decay", "oracle_mse", "gains", "dimensions")
    ) | dict.fromkeys(
        ("band_energy", "alignment", "frequency", "asymmetry", "homogeneity_error", "error", "excess", "reproduction")
    )
    gains = basis.eigenvalues if isinstance(basis, Eigenbasis) else None
    if x is not None:
        centred = x - x.mean(dim=(1, 2, 3), keepdim=True)  # the mean would hide everything else
        squares = (centred.flatten(1) @ rows.mT).square()
        total = centred.square().sum(dim=(1, 2, 3)).clamp(min=torch.finfo(x.dtype).tiny)[:, None]
        best = squares.sort(dim=1, descending=True).values
        curves = [(s.cumsum(dim=1) / total).mean(dim=0).cpu().double().numpy() for s in (squares, best)]
        numbers["energy"], numbers["best_energy"] = curves
        weights = 1 / np.arange(1, len(rows) + 1)
        numbers["energy_area"] = float((weights * curves[1]).sum() / weights.sum())
        numbers["terms"] = int((curves[1] < ENOUGH).sum()) + 1 if curves[1][-1] >= ENOUGH else None
        try:
            numbers["decay"] = decay_exponent(basis, x)
        except ValueError:  # too few coefficients that are not zero
            numbers["decay"] = None
        if sigma is not None:
            numbers["oracle_mse"] = float(oracle_mse(basis, x, sigma).mean())
            if gains is None:
                gains = oracle_gains(x.flatten(1) @ rows.mT, sigma).mean(dim=0)
    if gains is not None:
        numbers["gains"] = gains.detach().cpu().double().numpy()
        numbers["dimensions"] = subspace_dimension(gains)
    if coverage is not None:
        result = align(rows[:SHOWN].reshape(-1, *shape), coverage, contour)
        numbers["band_energy"] = result.band_energy.cpu().double().numpy()
        numbers["alignment"] = result.alignment.cpu().double().numpy()
        numbers["frequency"] = None if result.frequency is None else result.frequency.cpu().double().numpy()
    return Side(name=name, atoms=len(rows), **numbers)


def _atoms(basis: Basis, shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """The atoms as rows (k, d), of the dtype and on the device of `like`."""
    given = getattr(basis, "atoms", None)
    d = shape[0] * shape[1] * shape[2]
    if isinstance(given, Tensor) and given.ndim == 2 and given.shape[1] == d:
        return given.detach().to(like)
    with torch.no_grad():
        count = basis.analysis(torch.zeros(1, *shape, dtype=like.dtype, device=like.device)).shape[1]
        return basis.synthesis(torch.eye(count, dtype=like.dtype, device=like.device), shape).flatten(1)


def _products(u: Tensor, basis: Basis, v: Tensor, x: Tensor | None, shape: tuple[int, int, int]) -> Tensor:
    """<u_k, v_j>, by the transform of the basis, which is fast where its atoms are not at hand as a matrix."""
    if hasattr(basis, "atoms"):
        return u @ v.mT
    with torch.no_grad():
        outcome = basis.analysis(u.reshape(-1, *shape))
    order = _order(basis, x)
    return outcome if order is None else outcome[:, order]


def _order(basis: Basis, x: Tensor | None) -> Tensor | None:
    """Order of the mean energy of the images; None keeps the order of the basis."""
    ordered = hasattr(basis, "variances") and hasattr(basis, "atoms")
    if x is None or ordered or isinstance(basis, Eigenbasis):
        return None
    return basis.analysis(x).detach().square().mean(dim=0).argsort(descending=True, stable=True)


def _above(x: Tensor, sigma: float, rows: Tensor) -> Tensor:
    """Which atoms have a mean squared coefficient above sigma^2; at least one."""
    energy = (x.flatten(1) @ rows.mT).square().mean(dim=0)
    above = energy > sigma**2
    above[energy.argmax()] = True
    return above


def _responses(J: Jacobian, v: Tensor, above: Tensor) -> tuple[float, float]:
    """Root mean square of ||J v_k|| over the atoms that are not `above` the noise, and over all unit vectors."""
    d = v.shape[1]
    whole = float(J.matrix().double().square().sum())
    if len(v) < d:  # the atoms span a part only
        below = float(J.matvec(v[~above].mT.to(J.device, J.dtype)).double().square().sum())
    else:  # all atoms together have the norm of J, and few are above
        below = max(0.0, whole - float(J.matvec(v[above].mT.to(J.device, J.dtype)).double().square().sum()))
    return (below / int((~above).sum())) ** 0.5, (whole / d) ** 0.5


def _with_denoiser(side: Side, J: Jacobian, x: Tensor | None) -> Side:
    """What only a Jacobian tells: how far it is from that of a posterior mean, and how well its denoiser did."""
    error = excess = None
    if x is not None and len(x) == 1:
        error = float((J.output.to(x).flatten() - x.flatten()).square().sum())
        excess = None if side.oracle_mse is None else error - side.oracle_mse
    said = (
        J.reproduction(x.to(J.output) if x is not None and len(x) == 1 else None) if J.shape[0] == J.shape[1] else None
    )
    return replace(
        side,
        asymmetry=J.asymmetry(),
        homogeneity_error=J.homogeneity_error(),
        error=error,
        excess=excess,
        reproduction=said,
    )


def _shape(bases: list[Basis], x: Tensor | None, shape: tuple[int, int, int] | None) -> tuple[int, int, int]:
    for basis in bases:
        if not basis.is_orthonormal:
            raise ValueError(f"{type(basis).__name__} is a redundant frame; only orthonormal bases are compared")
        if not basis.is_adapted:
            raise ValueError(f"{type(basis).__name__} is not adapted yet; adapt it to one image with at(x, threshold)")
    known = [shape, None if x is None else tuple(x.shape[1:])]
    known += [getattr(basis, "image_shape", None) for basis in bases]
    shapes = {tuple(s) for s in known if s is not None}
    if len(shapes) != 1:
        raise ValueError(
            f"the images must have one shape, got {sorted(shapes)}; give shape=(channels, height, width), or images x"
            if not shapes
            else f"the images and bases must have one shape, got {sorted(shapes)}"
        )
    (one,) = shapes
    return one  # type: ignore[return-value]


def _names(bases: list[Basis]) -> tuple[str, str]:
    first, second = (type(basis).__name__ for basis in bases)
    return (first, second) if first != second else (f"{first} 1", f"{second} 2")
