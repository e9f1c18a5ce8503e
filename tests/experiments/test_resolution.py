"""Capacity and resolution: the same scenes at every resolution, and numbers in the words and figures that they belong to."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.hypotheses.paper import resolution
from gahb_theory.report.draw_resolution import resolution as drawn
from gahb_theory.report.readings_of_paper import readings_of_paper


def row(size, channels, gap, above):
    network = {"gap": gap, "error": 0.1, "above": above}
    wiener = {"gap": 2 * gap, "error": 0.1, "above": [v + 1 for v in above]}
    return {
        "size": size,
        "channels": channels,
        "n": 100,
        "blocks": 2,
        "parameters": 1,
        "network": network,
        "wiener": wiener,
    }


RESULTS = {
    "sigmas": [0.1],
    "bayes_sigmas": [0.1, 0.3],
    "settings": {"recipe": {"images_seen": 32_000}},
    "rows": [row(16, 4, 2.0, [3.0, 1.0]), row(8, 4, 0.5, [1.0, 2.0]), row(8, 8, 0.75, [1.5, 2.5])],
}


def test_training_sets_hold_the_same_scenes():
    """The same contours and backgrounds at 8 and 16 pixels, none of them among the test images."""
    s = resolution.SCALES["smoke"]
    small, large = (t.data.images() for t in resolution.trainings(s)[:2])
    coarse = torch.nn.functional.avg_pool2d(large, 2)
    assert float((coarse - small).abs().mean()) < 0.02
    assert float((coarse - small.roll(1, 0)).abs().mean()) > 0.05
    assert not torch.equal(small[:4], gt.CAlpha(alpha=2.0, size=8).sample(4))


def test_words_and_figures_have_the_numbers():
    """Sorted by resolution, each width a line, the Wiener filter once a resolution, and distances only where there are any."""
    gap, above = resolution.claims(RESULTS)
    assert gap.ours == (
        "8 pixels, N = 100: 4 channels +0.50 +- 0.20, 8 channels +0.75 +- 0.20; 16 pixels, N = 100: 4 channels +2.00 +- 0.20."
    )
    assert gap.why.endswith("8 pixels, N = 100: +1.50; 16 pixels, N = 100: +4.00.")
    assert above.ours.startswith("8 pixels, N = 100: 4 channels 1.0, 2.0, 8 channels 1.5, 2.5;")
    gaps, distances = drawn(RESULTS, {})
    (panel,) = gaps.panels
    assert [s.label for s in panel.series] == ["4 channels", "8 channels", "Wiener filter"]
    assert panel.series[0].x.tolist() == [8, 16]
    assert panel.series[0].y.tolist() == [0.5, 2.0]
    assert distances.panels[0].series[0].y == pytest.approx([1.5, 2.0])
    said = readings_of_paper("resolution", RESULTS, {})
    assert said[gaps.name].startswith(
        "At N = 100, networks of 8 channels have a seen image above a fresh one by +0.8 dB at 8"
    )
    assert said[distances.name].endswith("by 2.0 dB at 8 pixels.")
    narrow = readings_of_paper("resolution", RESULTS | {"rows": RESULTS["rows"][:2]}, {})
    assert "by +0.5 dB at 8 pixels, +2.0 dB at 16 pixels; Wiener filters by +1.0, +4.0 dB" in narrow[gaps.name]
    without = RESULTS | {"rows": [row(8, 4, 0.5, []), row(16, 4, 2.0, [])]}
    assert (
        len(resolution.claims(without))
        == len(drawn(without, {}))
        == len(readings_of_paper("resolution", without, {}))
        == 1
    )
