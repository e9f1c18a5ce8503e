"""`gahb verify`: the equations of the paper, or what theory says of one denoiser."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Suppress, arg

from gahb_theory.commands.classes import image_class

if TYPE_CHECKING:
    from gahb_theory.theory.identities import Card, TheoryTable

__all__ = ["Verify"]


@dataclass(frozen=True)
class Verify:
    """Compute every equation of the paper in two ways, each beside a mistake that must be caught; or test one denoiser.

    Without a denoiser: a line for each equation, with value, expected value, tolerance and verdict; status 1 if one fails.
    With one: what theory says of the optimal denoiser, measured on it.
    """

    denoiser: Annotated[str | None, arg(metavar="NAME")] = None
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint."""
    sigma: float = 0.1
    """Noise level, for a denoiser."""
    n: Annotated[int, arg(aliases=["-n"])] = 32
    """Number of images, for a denoiser."""
    seed: int = 0
    """Names images and noise, for a denoiser."""
    kind: Annotated[str | None, arg(name="class", metavar="NAME")] = None
    """The image class, for a denoiser; by default photographs of 32 pixels."""
    settings: Suppress[Any] = None

    def execute(self) -> "TheoryTable | Card":
        """Return the table, or the card of the denoiser."""
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.theory.identities import verify, verify_theory

        if self.denoiser is None:
            table = verify_theory()
            if not table.holds:
                print(table)
                raise SystemExit(1)
            return table
        settings = dict(self.settings or {})
        if self.kind is None:
            settings = {"size": ["32"]} | settings
        images = image_class(self.kind or "photographs", settings)
        f = named_denoiser(self.denoiser)
        return verify(f, images.sample(self.n, seed=self.seed), self.sigma, seed=self.seed)
