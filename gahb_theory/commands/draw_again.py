"""`gahb report`: the page of a run, from its numbers."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

__all__ = ["Report"]

PAGES = {
    "compare": "comparison_page:comparison_again",
    "audit": "audit_page:audit_again",
    "benchmark": "benchmark_page:benchmark_again",
    "test": "assessment_page:assessment_again",
}
"""What draws the page of a command; the tour, `gahb analyze` and what is not known are drawn, or refused, by `tour_page`."""


@dataclass(frozen=True)
class Report:
    """Draw the page and the figures of a run again, from its numbers."""

    run: Positional[Path]
    """A run directory of any command that writes a page, or the folder of results of `gahb reproduce`."""

    def execute(self) -> Path:
        """Write report.html and figures/."""
        from gahb_theory.report.paper_page import paper_report
        from gahb_theory.report.tour_page import tour_report

        if not (self.run / "config.json").is_file() and any(self.run.glob("*/results.json")):
            return paper_report(self.run)
        command = self._command()
        if command not in PAGES:
            return tour_report(self.run)
        if not (self.run / "arrays.npz").is_file():
            raise FileNotFoundError(f"{self.run} holds no arrays.npz: run gahb {command} again, in another directory")
        module, _, function = PAGES[command].partition(":")
        page: Path = getattr(importlib.import_module(f"gahb_theory.report.{module}"), function)(self.run)
        return page

    def _command(self) -> str:
        """The command that wrote the run; empty where its configuration does not say."""
        try:
            config = json.loads((self.run / "config.json").read_text())
            return str(config["command"])
        except (OSError, ValueError, TypeError, KeyError):
            return ""
