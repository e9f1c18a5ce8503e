"""`gahb report`: the page of a run, from its numbers."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Draw the report and the figures of a run directory again, from its numbers."""

    run: Positional[Path]
    """A run directory of the tour or of `gahb analyze`."""

    def execute(self) -> Path:
        """Write report.html and figures/."""
        from gahb_theory.report.tour_page import tour_report

        return tour_report(self.run)
