"""Which commands there are, where each stands, and what is said of it."""

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = ["COMMANDS", "Command", "overview"]

AGAIN = "no file is half written, and the same command begins again"
NOTHING = "nothing is written, and the same command begins again"


@dataclass(frozen=True)
class Command:
    """Where a command is defined, its line in `gahb --help`, and what it says when it is stopped."""

    place: str
    """module:class"""
    summary: str
    when_stopped: str = AGAIN

    def load(self) -> type[Any]:
        """The dataclass of the command, with a method `execute` that returns what is printed."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)


HERE = "gahb_theory.commands"
COMMANDS = {
    "tour": Command(
        f"{HERE}.settings_of_tour:Tour",
        "see what the library does, on its own images and denoisers",
        "the finished parts are kept, and the same command goes on from here",
    ),
    "generate": Command(
        f"{HERE}.generate:Generate",
        "draw images of a class into a .npy file",
        "the finished blocks are kept, and the same command goes on from here",
    ),
    "train": Command(
        f"{HERE}.train:Train",
        "train a network on a class, a folder or a .npy file",
        "the last checkpoint is kept, and the same command goes on from it",
    ),
    "denoise": Command(f"{HERE}.denoise:Denoise", "remove the noise of images"),
    "sample": Command(f"{HERE}.sample:Sample", "draw samples of a denoiser, from noise"),
    "analyze": Command(f"{HERE}.analyze:Analyze", "the basis to which a denoiser adapts at your images, on a page"),
    "compare": Command(f"{HERE}.compare:Compare", "two denoisers, or a denoiser and a basis, at one image"),
    "test": Command(f"{HERE}.judging:ClaimCommand", "decide a hypothesis on a denoiser"),
    "audit": Command(f"{HERE}.judging:AuditCommand", "all that the data allows on one denoiser, on a page"),
    "benchmark": Command(
        f"{HERE}.benchmarking:BenchmarkCommand", "rank a denoiser by its distance from the optimum, on a page"
    ),
    "verify": Command(f"{HERE}.verify:Verify", "compute every equation of the paper in two ways", NOTHING),
    "reproduce": Command(
        f"{HERE}.reproduce:Reproduce",
        "measure claims of the paper",
        "what is trained and measured is kept, and the same command goes on from here",
    ),
    "report": Command(f"{HERE}.draw_again:Report", "draw the page of a run again"),
}


def overview() -> str:
    """What `gahb --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: gahb [COMMAND] [OPTIONS]",
            "",
            "Why denoisers and diffusion models generalise. `gahb` alone is `gahb tour`.",
            "",
            *lines,
            "",
            "gahb COMMAND --help shows the options of a command, gahb --version the version.",
        ]
    )
