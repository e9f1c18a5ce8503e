"""The report: one HTML page with everything in it."""

from gahb_theory.report.page import Picture, Section, Table, write_page

__all__ = ["Picture", "Section", "Table", "write_page"]
