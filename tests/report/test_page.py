"""A page is one file that asks for nothing, can be read by everybody, and carries the numbers of its figures."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gahb_theory.report import page as pages
from gahb_theory.report import svg
from gahb_theory.report.curves import Mark, Panel, Series, panels_figure
from gahb_theory.report.figures import gallery

FOLDER = Path(pages.__file__).parent
CSS, SCRIPT = (FOLDER / "page.css").read_text(), FOLDER / "page.js"
BROWSER = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
RANKS = np.arange(1, 301)
CURVE = 1 / RANKS**1.5
ATOMS = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)


WIDE = pages.Table(
    ("sigma", "denoiser", "wavelet oracle", "DCT oracle", "PCA oracle", "wavelet thresholding"),
    [("0.02", "50.32", "47.79", "44.48", "42.25", "39.86")],
    "PSNR in dB.",
)


def example(path, *more):
    panel = Panel(
        [
            Series("network", RANKS, CURVE, 0.9 * CURVE, 1.1 * CURVE, marker="o"),
            Series("<other>", RANKS[:5], -CURVE[:5], line=""),
        ],
        "rank k",
        "eigenvalue",
        xlog=True,
        marks=[Mark("y", 0.5, "1/2")],
    )
    places = Panel(
        [Series("interval", np.array([2.0]), np.array([1.0]), np.array([1.5]), np.array([2.5]), bars=True)],
        "decibels",
        "",
        rows=["first", "second"],
    )
    images = np.linspace(0, 1, 2 * 64, dtype=np.float32).reshape(2, 1, 8, 8)
    parts = [
        pages.Chart("curve", [panel], "What is drawn.", "It falls."),
        pages.Chart("places", [places], "Where it is.", "It stands at 2."),
        pages.Picture("images", gallery({"two": images}), "Two images.", "Grey.", "two images", {"two": images}),
        pages.Eigenvectors(
            "atoms",
            "Three.",
            "One passes.",
            ATOMS,
            np.array([0, 1, 9]),
            np.array([0.9, 0.4, -0.1]),
            np.array([3.0, -0.5, 0.0]),
            images[0],
            np.repeat([[0.0], [1.0]], 4, axis=0).repeat(8, axis=1),
        ),
        pages.Table(("claim", "verdict"), [("one", "supported"), ("two", "refuted")], "Claims.", align="left"),
    ]
    keys = [pages.KeyFigure("4.2", "dB", f"figure {n}") for n in range(4)]
    head = pages.Head("Title & name", "Is it so?", ["Yes.", "No.", "Perhaps."], keys)
    return pages.write_page(
        path, head, [pages.Section("A <part>", ["Words."], [*parts, *more])], {"command": "gahb test"}
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return example(tmp_path_factory.mktemp("page") / "report.html")


def test_a_page_stands_alone_and_says_everything_in_words(file, check_page):
    text = file.read_text()
    parsed = check_page(text)
    assert {f.name for f in (file.parent / "figures").iterdir()} == {
        f"{n}.png" for n in ["curve", "places", "images", "atoms"]
    }
    assert text.index("Is it so?") < text.index("Perhaps.") < text.index("figure 3") < text.index("A &lt;part&gt;")
    assert text.count('class="reading"') == 4
    assert [a["class"] for a in parsed.all("td") if "class" in a] == ["verdict good", "verdict bad"]
    assert [a["data-label"] for a in parsed.all("td")] == ["verdict", "verdict"]
    assert "network from 1 at 1 to 0.000192 at 300" in parsed.all("svg")[0]["aria-label"]
    assert "second 2" in parsed.all("svg")[1]["aria-label"]


def test_the_downloads_are_the_numbers(file, check_page, downloads):
    found = downloads(check_page(file.read_text()))
    header, *rows = csv.reader(io.StringIO(found["curve.csv"].decode()))
    assert header == ["rank k", "network", "network low end", "network high end", "<other>"]
    assert len(rows) == 300
    np.testing.assert_allclose([float(row[1]) for row in rows], CURVE, rtol=1e-5)
    np.testing.assert_allclose([float(row[3]) for row in rows], 1.1 * CURVE, rtol=1e-5)
    assert [row[4] for row in rows[:6]] == ["-1", "-0.353553", "-0.19245", "-0.125", "-0.0894427", ""]
    assert list(csv.reader(io.StringIO(found["places.csv"].decode())))[1] == ["second", "2", "1.5", "2.5"]
    with np.load(io.BytesIO(found["atoms.npz"])) as stored:
        np.testing.assert_allclose(stored["atoms"], ATOMS, atol=2e-3)
        assert stored["eigenvalues"].tolist() == [0.9, 0.4, -0.1]
    with np.load(io.BytesIO(found["images.npz"])) as stored:
        assert stored["two"].shape == (2, 1, 8, 8)


def test_eigenvectors_stand_with_eigenvalue_and_coefficient(file, check_page):
    text = file.read_text()
    buttons = re.findall(r"<button.*?</button>", text, re.DOTALL)
    assert len(buttons) == 3
    assert "λ₁₀ = −0.100" in buttons[2] and "c = 0" in buttons[2] and "eigenvector 10: " in buttons[2]
    (slider,) = [a for a in check_page(text).all("input") if a["type"] == "range"]
    assert slider["max"] == "2"
    assert "M0.00 3.50" in text, "the contour, half-way between the fourth row and the fifth"


def test_points_of_a_chart_stand_where_their_numbers_say():
    panel = Panel([Series("s", np.array([1.0, 10.0, 100.0]), np.array([0.0, 1.0, 2.0]))], "x", "y", xlog=True)
    drawn = svg.inline(panel)
    points = re.findall(r'class="pt" cx="([\d.]+)" cy="([\d.]+)" r="6"><title>(.*?)</title>', drawn)
    x, y = (np.array([float(p[i]) for p in points]) for i in (0, 1))
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.11) and x[1] > x[0], "a decade is as long as another"
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.11) and y[1] < y[0], "up is more"
    assert points[1][2] == "s: 1 at 10"
    ticks = dict(re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">(\d+)</text>', drawn))
    at = {value: float(place) for place, value in ticks.items()}
    assert [at[value] for value in ("1", "10", "100")] == pytest.approx(list(x), abs=0.11)


def test_a_unit_has_one_length_on_both_axes_where_they_are_compared():
    panel = Panel([Series("s", np.array([0.0, 10.0]), np.array([0.0, 30.0]))], "x", "y", equal=True)
    (x0, y0), (x1, y1) = re.findall(r'class="pt" cx="([\d.]+)" cy="([\d.]+)"', svg.inline(panel))
    assert (float(y0) - float(y1)) / 30 == pytest.approx((float(x1) - float(x0)) / 10, rel=0.01)


def test_one_legend_where_panels_share_their_names():
    """Below the panels, each name once, those that one panel lacks too; names of a panel alone stay in it."""
    x = np.array([1.0, 2.0])

    def panel(*names, mark=""):
        return Panel([Series(name, x, x) for name in names], "x", "y", marks=[Mark("y", 1.0, mark)] if mark else [])

    shared = panels_figure([panel("a", "b", "c"), panel("a", "b", "d")])
    assert [text.get_text() for text in shared.legends[0].get_texts()] == ["a", "b", "c", "d"]
    assert all(ax.get_legend() is None for ax in shared.axes)
    assert len(panels_figure([panel("a", "b"), panel("a", "b")]).legends) == 1
    for own in (
        [panel("a", "b"), panel("c", "d")],
        [panel("a", mark="k = 1"), panel("a", mark="k = 2"), panel("a", mark="k")],
    ):
        figure = panels_figure(own)
        assert not figure.legends
        assert all(ax.get_legend() is not None for ax in figure.axes if ax.lines)


@pytest.mark.parametrize("log", [False, True])
def test_numbers_that_cannot_be_drawn_are_left_out(log):
    values = np.array([np.nan, -1.0, 0.0, 1.0, np.inf])
    drawn = svg.inline(Panel([Series("s", np.arange(5.0), values)], "x", "y", ylog=log))
    assert "nan" not in drawn and "inf" not in drawn
    assert drawn.count('class="pt"') == (1 if log else 3)
    assert svg.inline(Panel([Series("s", values[:1], values[:1])], "x", "y", xlog=log))


@pytest.mark.parametrize(("low", "high", "log"), [(0, 1, False), (-3.2, 17, False), (0.013, 0.7, True), (1, 1e9, True)])
def test_ticks_are_round_and_neither_few_nor_many(low, high, log):
    found = svg.ticks(low, high, log)
    assert 3 <= len(found) <= 11
    assert all(low * 0.999 - 1e-9 <= t <= high * 1.001 for t in found)
    assert all(float(f"{t:.2g}") == pytest.approx(t) for t in found)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Contrast as WCAG 2 defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_words_and_lines():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS)]
    assert len(schemes) == 3, "light, dark, print"
    for scheme in schemes:
        for ground in ("paper", "card"):
            for words in ("ink", "soft", "accent", "good", "bad", "open"):
                assert contrast(scheme[words], scheme[ground]) >= 4.5, (words, ground)
    assert luminance(schemes[1]["card"]) < 0.05
    for light, dark in svg.INKS.values():
        assert contrast(light, schemes[0]["card"]) >= 4.5 and contrast(dark, schemes[1]["card"]) >= 4.5


@pytest.mark.parametrize("colour", ["#440154", "#2a788e", "#7ad151", "#fde725"])
def test_shades_are_seen_on_dark_ground(colour):
    assert contrast(svg.colours(colour)[1], "#1a1f29") >= 2.5


def test_the_script_is_short_and_is_one():
    assert len(SCRIPT.read_text().splitlines()) < 300
    if node := shutil.which("node"):
        subprocess.run([node, "--check", str(SCRIPT)], check=True, timeout=60)


def chromium(file, tmp_path, *options):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    return subprocess.run(
        [str(BROWSER), *flags, f"--user-data-dir={tmp_path}", *options, file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_in_a_browser(tmp_path):
    """No error, no sideways scrolling on a phone, neither of the page nor of a table, and the script does what it says."""
    file = example(tmp_path / "report.html", WIDE)
    frame = (
        "<script>var f = document.createElement('iframe'); f.style.width = '390px'; f.style.height = '800px';"
        "f.onload = function () { var d = f.contentDocument; d.querySelectorAll('.grid button')[2].click();"
        "var more = 0; d.querySelectorAll('.scroll').forEach(function (t) { more += t.scrollWidth - t.clientWidth });"
        "document.title = [d.documentElement.scrollWidth, more, d.querySelector('.said').textContent].join(' ') };"
        "window.onerror = function (m) { document.title = 'error ' + m };"
        "f.srcdoc = PAGE; document.body.appendChild(f);</script>"
    )
    content = json.dumps(file.read_text()).replace("</", "<\\/")
    outer = tmp_path / "outer.html"
    outer.write_text(f"<!doctype html><title></title><body>{frame.replace('PAGE', content)}</body>")
    done = chromium(outer, tmp_path / "profile", "--virtual-time-budget=10000", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    width, more, said = title.split(" ", 2)
    assert int(width) <= 390
    assert more == "0", "a table is wider than the screen"
    assert said.startswith("eigenvector 10: λ₁₀ = −0.100")
    assert "CONSOLE" not in done.stderr
