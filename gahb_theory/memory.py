"""What fits in the memory of the machine: asked before it is taken."""

import os

__all__ = ["check_memory"]


def check_memory(needed: int, what: str, hint: str) -> None:
    """Refuse what needs more bytes than the machine has.

    Parameters
    ----------
    needed
        Number of bytes.
    what
        What needs the memory, in the plural, for the message.
    hint
        The way on.

    Examples
    --------
    >>> check_memory(2**20, "ten images", "draw fewer")
    """
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such figure on this system
        return
    if needed > there:
        raise ValueError(
            f"{what} need {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB; {hint}"
        )
