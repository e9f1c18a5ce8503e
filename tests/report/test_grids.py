"""Coloured cells say their numbers, are read on every colour, and are drawn where their numbers stand."""

import base64
import re

import numpy as np

from gahb_theory.report.grids import Grid, grid_as_csv, grid_as_svg, grids_figure

GRID = Grid(
    np.array([[0.0, 2.0, 3.0], [-0.001, 0.5, 1.5]]), ["1", "10"], ["5", "6", "7"], "N", "steps", "gap <dB>", 1.0
)


def test_each_cell_says_its_number_with_its_row_and_column():
    drawn = grid_as_svg(GRID)
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+"><title>(.*?)</title>', drawn)
    assert [said for *_, said in points][1:4] == [
        "gap &lt;dB&gt;: 2 at N 1, steps 6",
        "gap &lt;dB&gt;: 3 at N 1, steps 7",
        "gap &lt;dB&gt;: -0.001 at N 10, steps 5",
    ]
    assert re.findall(r'font-size="11">(.*?)</text>', drawn) == ["0.00", "2.00", "3.00", "0.00", "0.50", "1.50"]
    x, y = (np.array([float(p[i]) for p in points]).reshape(2, 3) for i in (0, 1))
    assert (np.diff(x, axis=1) > 0).all() and (y[0] > y[1]).all(), "the first row stands below"


def test_the_edge_parts_cells_above_the_line_from_the_others():
    drawn = grid_as_svg(GRID)
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)
    x, y = (np.array([float(p[i]) for p in points]).reshape(2, 3) for i in (0, 1))
    (path,) = set(re.findall(r'<path d="([^"]*)"', drawn))
    ends = np.array([[float(v) for v in e.split()] for edge in path.split("M")[1:] for e in edge.split("L")])
    middles = {tuple(edge.mean(axis=0).round(0)) for edge in ends.reshape(-1, 2, 2)}
    between = [
        ((x[0, 0] + x[0, 1]) / 2, y[0, 0]),
        ((x[1, 1] + x[1, 2]) / 2, y[1, 1]),
        (x[0, 1], (y[0, 1] + y[1, 1]) / 2),
    ]
    assert middles == {tuple(np.round(place, 0)) for place in between}
    figure = grids_figure([GRID])
    assert len(figure.axes[0].lines) == 6, "each of three edges in two colours"
    assert "<path" not in grid_as_svg(Grid(GRID.values, GRID.rows, GRID.columns, "N", "steps", "gap"))


def test_numbers_are_read_on_every_colour():
    drawn = grid_as_svg(Grid(np.linspace(0, 1, 60).reshape(6, 10), ["r"] * 6, ["c"] * 10, "", "", ""))
    fills = re.findall(r'fill="(#\w+)"/><text style="fill:(#\w+)"', drawn)
    assert len(fills) == 60
    assert min(contrast(*pair) for pair in fills) >= 4.5


def contrast(one, other):
    levels = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        levels.append(0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
    return max(levels) / min(levels)


def test_the_numbers_are_downloaded():
    file = grid_as_csv("gap_1", GRID)
    lines = base64.b64decode(file.content).decode().splitlines()
    assert lines == ["N,steps 5,steps 6,steps 7", "1,0,2,3", "10,-0.001,0.5,1.5"]
    assert (file.name, file.words) == ("gap_1.csv", "gap <dB> (CSV)")


def test_a_grid_of_one_number_is_drawn():
    one = Grid(np.array([[2.0]]), ["1"], ["5"], "N", "steps", "gap", 1.0)
    assert "2.00" in grid_as_svg(one)
    assert grids_figure([one]).axes[0].get_title() == "gap"
