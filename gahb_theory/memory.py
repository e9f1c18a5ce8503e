"""What fits in the memory of the machine: asked before it is taken."""

import os

from gahb_theory import validate

__all__ = ["check_memory", "machine_memory"]


def machine_memory() -> int | None:
    """Bytes of memory of this machine; None on a system that does not say.

    Examples
    --------
    >>> machine_memory() is None or machine_memory() > 2**20
    True
    """
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(needed: int, what: str, hint: str, *, limit: int | float | None = None) -> None:
    """Refuse what needs more bytes than the machine has, or than are allowed.

    Parameters
    ----------
    needed
        Number of bytes.
    what
        What needs the memory, in the plural, for the message.
    hint
        The way on.
    limit
        Number of bytes allowed; the memory of the machine if None.

    Raises
    ------
    ValueError
        If more is needed.

    Examples
    --------
    >>> check_memory(2**20, "ten images", "draw fewer")
    >>> check_memory(2**31, "ten images", "draw fewer", limit=2**30)
    Traceback (most recent call last):
    ValueError: ten images need 2.0 GiB, and 1.0 GiB are allowed; draw fewer
    """
    if limit is not None:
        if needed > validate.positive(limit, "limit"):
            raise ValueError(f"{what} need {_size(needed)}, and {_size(limit)} are allowed; {hint}")
        return
    there = machine_memory()
    if there is not None and needed > there:
        raise ValueError(
            f"{what} need {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB; {hint}"
        )


def _size(count: int | float) -> str:
    if count < 2**20:
        return f"{count:,.0f} bytes"
    return f"{count / 2**30:,.1f} GiB" if count >= 2**29 else f"{count / 2**20:,.1f} MiB"
