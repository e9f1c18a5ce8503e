"""How fast images are drawn, against a plain loop and against the cost of random numbers and Fourier transforms alone.

    python benchmarks/images.py
    python benchmarks/images.py --threads 2

The plain loop of C^alpha images follows the published program step by step, in code of its own: image by image, spectra
shifted to put k = 0 in the middle, the gain raised to its power anew for each field, a loop over the columns that sets
mask[0:row_j, j] = 0, a 2 x 2 convolution layer, two backgrounds stretched between their extremes. Its "lean" variant
computes the gains once, shifts nothing and reads the rows as numbers. The array program of disks takes the distances of
all images at once on the torus, in double precision, as the published one does; the lean one in single precision on the plane.
The random numbers of "holder" images are normal, by the transform of Box and Muller: a logarithm, a root, a cosine and a sine
for two numbers. Cosine and sine, 4 size^2 of each for an image, are a fifth of the floor at 80 pixels. They are part of the
draw, since a radius and an angle are no normal numbers, and computed in another way they would round to other images of a
seed. The ratio without them is printed beside it.
All variants take turns in one process with the same number of threads; times are the best of
several; with one thread times are those of the processor, with more those of the wall clock. Only ratios
mean something on another machine.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.images.c_alpha import SUB_COLUMNS
from gahb_theory.images.transforms import filtered_pairs, inverse_corner, inverse_real
from gahb_theory.randomness import Component, normals, polar_normals, symmetric_uniforms, uniforms


def published_loop(n: int, size: int, alpha: float, generator: torch.Generator) -> Tensor:
    """The published generator of C^alpha images, one image and one column after the other, as it is published."""
    axis = torch.fft.fftshift(torch.fft.fftfreq(size)) * size
    line = torch.where(axis == 0, 1.0, 1 / axis.abs())
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    plane = torch.where(radius == 0, 1.0, 1 / radius)
    box = torch.nn.Conv2d(1, 1, 2, padding=1, padding_mode="reflect", bias=False)
    box.weight = torch.nn.Parameter(torch.full((1, 1, 2, 2), 0.25))

    def filtered_noise(gain: Tensor, *shape: int) -> Tensor:
        white = 2 * torch.rand(*shape, generator=generator) - 1
        spectrum = torch.fft.fftshift(torch.fft.fftn(white)) * gain**alpha
        return torch.fft.ifftn(torch.fft.ifftshift(spectrum)).real

    def stretched(field: Tensor, low: float, high: float) -> Tensor:
        return (field - field.min()) / (field.max() - field.min()) * (high - low) + low

    images: list[Tensor] = []
    while len(images) < n:
        rows = torch.round(filtered_noise(line, size) * size).int() + size // 2
        fields = [filtered_noise(plane, size, size) for _ in range(2)]
        bright = int(torch.randint(2, (1,), generator=generator))
        fields[bright] = stretched(fields[bright], float(torch.rand(1, generator=generator)), 1.0)
        fields[1 - bright] = stretched(fields[1 - bright], 0.0, float(torch.rand(1, generator=generator)))
        mask = torch.ones(size, size)
        for j in range(size):
            mask[0 : rows[j], j] = 0
        share = box(mask[None, None]).squeeze().detach()[:-1, :-1]
        images.append(fields[0] * share + fields[1] * (1 - share))
    return torch.stack(images)[:, None]


def lean_loop(n: int, size: int, alpha: float, generator: torch.Generator) -> Tensor:
    """The published generator of C^alpha images, one image and one column after the other."""
    k = torch.fft.fftfreq(size, 1 / size).abs()
    line = torch.where(k > 0, k, 1.0) ** -alpha
    radius = torch.hypot(k[:, None], k[None, :])
    plane = torch.where(radius > 0, radius, 1.0) ** -alpha
    box = torch.full((1, 1, 2, 2), 0.25)
    images = []
    for _ in range(n):
        white = 2 * torch.rand(size, generator=generator) - 1
        contour = torch.fft.ifft(line * torch.fft.fft(white)).real
        rows = torch.round(contour * size).int() + size // 2
        mask = torch.ones(size, size)
        for j in range(size):
            mask[: int(rows[j].clamp(0, size)), j] = 0
        padded = torch.nn.functional.pad(mask[None, None], (1, 0, 1, 0), mode="reflect")
        mask = torch.nn.functional.conv2d(padded, box)[0, 0]
        fields = []
        bright = int(torch.rand(1, generator=generator) < 0.5)
        for region in range(2):
            noise = 2 * torch.rand(size, size, generator=generator) - 1
            field = torch.fft.ifft2(plane * torch.fft.fft2(noise)).real
            unit = (field - field.min()) / (field.max() - field.min())
            u = torch.rand(1, generator=generator)
            fields.append(u + (1 - u) * unit if region == bright else u * unit)
        images.append(mask * fields[0] + (1 - mask) * fields[1])
    return torch.stack(images)[:, None]


def plain_disks(n: int, size: int, generator: torch.Generator) -> Tensor:
    """The published generator of disks, one image after the other."""
    centre = torch.arange(size) + 0.5
    images = []
    for _ in range(n):
        u = torch.rand(5, generator=generator)
        radius = 3 + ((size - 3) // 2 - 3) * u[0]
        row, column = (radius + (size - 2 * radius) * u[i] for i in (1, 2))
        inside = (centre[:, None] - row) ** 2 + (centre[None, :] - column) ** 2 <= radius**2
        images.append(torch.where(inside, u[3], u[4]))
    return torch.stack(images)[:, None]


def array_disks(n: int, size: int, generator: torch.Generator) -> Tensor:
    """The published generator of disks as an array program: the squared distance at all pixels of all images at once."""
    u = torch.rand(n, 5, generator=generator, dtype=torch.float64)
    radius = 3 + ((size - 3) // 2 - 3) * u[:, 0]
    centre = radius[:, None] + (size - 2 * radius[:, None]) * u[:, 1:3]
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"), dim=-1)
    offset = (grid[None] - centre[:, None, None] + size / 2) % size - size / 2
    mask = ((offset**2).sum(dim=-1) <= radius[:, None, None] ** 2).float()
    inside, outside = u[:, 3].float(), u[:, 4].float()
    return (outside[:, None, None] + (inside - outside)[:, None, None] * mask)[:, None]


def lean_array_disks(n: int, size: int, generator: torch.Generator) -> Tensor:
    """The same in single precision, and on the plane."""
    u = torch.rand(n, 5, 1, 1, generator=generator)
    radius = 3 + ((size - 3) // 2 - 3) * u[:, 0]
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"), dim=-1) + 0.5
    centre = torch.stack([radius + (size - 2 * radius) * u[:, i] for i in (1, 2)], dim=-1)
    mask = (((grid - centre) ** 2).sum(dim=-1) <= radius**2).float()
    return (mask * u[:, 3] + (1 - mask) * u[:, 4])[:, None]


def own_floor(n: int, size: int, generator: torch.Generator, *, normal: bool = True) -> None:
    """Random numbers and Fourier transforms of the "holder" convention, by the functions it calls, and nothing else."""
    side, count = 2 * size, (2 * size - 1) ** 2 - 1
    radius, angle = polar_normals(n, count, seed=0, component=Component.FIELDS)
    if normal:
        torch.complex(radius * angle.cos(), angle.sin_().mul_(radius))
    normals(n, 2 * (size - 1), seed=0, component=Component.CONTOUR)
    uniforms(n, 4, seed=0, component=Component.PARAMETERS)
    inverse_corner(torch.zeros(n, side, side, dtype=torch.complex64), size)
    inverse_real(torch.zeros(n, SUB_COLUMNS * size + 1, dtype=torch.complex64), 2 * SUB_COLUMNS * size)


def torch_floor(n: int, size: int, generator: torch.Generator) -> None:
    """As many normal numbers and whole transforms of the same size, by torch."""
    torch.randn(n, 2 * (2 * size) ** 2, generator=generator)
    torch.fft.ifft2(torch.zeros(n, 2 * size, 2 * size, dtype=torch.complex64))


def paper_floor(n: int, size: int, generator: torch.Generator) -> None:
    """Random numbers and Fourier transforms of the "paper" convention."""
    noise = symmetric_uniforms(n, 2 * size**2, seed=0, component=Component.FIELDS)
    filtered_pairs(noise.reshape(n, size, size, 2), torch.ones(size, 2 * size))


def microseconds(variants: dict[str, tuple[Callable[[], object], int]], repeats: int) -> dict[str, float]:
    """Time per image, the best of `repeats` rounds in which all variants take turns."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    best = dict.fromkeys(variants, np.inf)
    for _ in range(repeats):
        for name, (call, n) in variants.items():
            begun = clock()
            call()
            best[name] = min(best[name], 1e6 * (clock() - begun) / n)
    return best


def c_alpha(size: int, repeats: int, generator: torch.Generator) -> None:
    """Print the times of both conventions at one size."""
    few, many = 2**18 // size**2, 2**22 // size**2
    paper, holder = gt.CAlpha(size=size, convention="paper"), gt.CAlpha(size=size)
    t = microseconds(
        {
            "loop": (lambda: published_loop(16, size, 2.0, generator), 16),
            "lean": (lambda: lean_loop(16, size, 2.0, generator), 16),
            "paper": (lambda: paper.sample(many), many),
            "paper floor": (lambda: paper_floor(few, size, generator), few),
            "holder": (lambda: holder.sample(few), few),
            "holder floor": (lambda: own_floor(few, size, generator), few),
            "polar floor": (lambda: own_floor(few, size, generator, normal=False), few),
            "torch floor": (lambda: torch_floor(few, size, generator), few),
        },
        repeats,
    )
    print(
        f"C^alpha {size}x{size}: published loop {t['loop']:.0f} us, lean loop {t['lean']:.0f} us per image\n"
        f"  paper   {t['paper']:6.1f} us = loop / {t['loop'] / t['paper']:.1f} = lean loop / {t['lean'] / t['paper']:.1f}"
        f" = {t['paper'] / t['paper floor']:.2f} x its random numbers and transforms on one thread\n"
        f"  holder  {t['holder']:6.1f} us = loop / {t['loop'] / t['holder']:.1f}"
        f" = {t['holder'] / t['holder floor']:.2f} x its random numbers and transforms"
        f" ({t['holder'] / t['polar floor']:.2f} x without the cosines and sines)"
        f" = {t['holder'] / t['torch floor']:.2f} x those of torch"
    )


def disks(size: int, repeats: int, generator: torch.Generator) -> None:
    """Print the times of disks with three edges at one size."""
    n = 2**22 // size**2
    classes = {
        "sampled": gt.Disks(size=size, edge="sampled"),
        "area": gt.Disks(size=size, edge="area"),
        "smooth": gt.Disks(size=size),
    }
    t = microseconds(
        {
            "loop": (lambda: plain_disks(64, size, generator), 64),
            "array": (lambda: array_disks(n, size, generator), n),
            "lean": (lambda: lean_array_disks(n, size, generator), n),
            "sampled": (lambda: classes["sampled"].sample(n), n),
            "area": (lambda: classes["area"].sample(n), n),
            "smooth": (lambda: classes["smooth"].sample(n), n),
        },
        repeats,
    )
    print(
        f"disks {size}x{size}: plain loop {t['loop']:.0f} us, array program {t['array']:.0f} us, lean {t['lean']:.0f} us"
        " per image"
    )
    for kind in classes:
        print(
            f"  {kind:8s}{t[kind]:6.1f} us = {1e6 / t[kind]:,.0f} a second = loop / {t['loop'] / t[kind]:.1f}"
            f" = array program / {t['array'] / t[kind]:.1f} = lean / {t['lean'] / t[kind]:.1f}"
        )


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description="How fast images are drawn.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    for size in (32, 64, 80):
        c_alpha(size, options.repeats, generator)
    for size in (32, 64, 80):
        disks(size, options.repeats, generator)


if __name__ == "__main__":
    main()
