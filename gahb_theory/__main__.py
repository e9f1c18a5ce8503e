"""`python -m gahb_theory` is `gahb`."""

from gahb_theory.cli import main

main()
