"""Denoisers on disk: the folders of this library, and the files that others have published."""

__all__: list[str] = []
