"""Where the paths of two denoisers part."""

from typing import TYPE_CHECKING

from gahb_theory.report.figures import GREY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gahb_theory.sampling.trajectories import Parting

__all__ = ["draw_parting"]


def draw_parting(parting: "Parting", ax: "Axes") -> "Axes":
    """Draw the cosine of each pair of paths and their median against the noise level, which falls to the right."""
    sigmas, cosine = parting.sigmas.cpu(), parting.cosine.double().cpu()
    ax.plot(sigmas, cosine, color=GREY, lw=0.6, alpha=0.5)
    ax.plot(sigmas, cosine.median(dim=1).values, color=VERMILION, lw=2, label="median")
    ax.plot([], [], color=GREY, lw=0.6, label="each pair")
    ax.axhline(parting.below, color="black", lw=1, ls=":", label=f"parted below {parting.below:g}")
    ax.set(xscale="log", xlabel="noise level", ylabel="cosine of the two estimates", ylim=(-1.05, 1.05))
    ax.invert_xaxis()
    ax.legend(loc="lower left", title=f"{parting.share_parted:.0%} end apart")
    return ax
