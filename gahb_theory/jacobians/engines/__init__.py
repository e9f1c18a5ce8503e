"""Engines: the ways to compute the products J v and J^T u, and the rows of J."""

__all__: list[str] = []
