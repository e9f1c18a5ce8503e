"""Products with the Jacobian of a network whose activation pattern at y is held, without automatic differentiation.

    J = W_L D_{L-1} W_{L-1} ... D_1 W_1,        J^T = W_1^T D_1 ... D_{L-1} W_L^T,

with the slopes D_l of the activations recorded once at y (Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR
2020). One product costs one pass through the linear network, with nothing kept between the layers and no second pass of
the denoiser. Where the receptive field is bounded, `pull` starts from a window of the output and computes each layer on
the window it reaches, and no more.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from gahb_theory.jacobians.engines.linear_maps import Scale, Window
from gahb_theory.jacobians.engines.recording import Recording, Step

__all__ = ["FrozenProducts"]


class FrozenProducts:
    """J v and J^T u by the recorded linear network.

    Parameters
    ----------
    recording
        The derivative at y as a list of linear maps.
    element_size
        Bytes of a number.
    check
        Called before each product; raises if the recording is no longer valid.
    budget
        Working memory in bytes.

    Attributes
    ----------
    bytes_per_direction
        Memory of one direction on its way through the network.
    """

    def __init__(
        self,
        recording: Recording,
        element_size: int,
        check: Callable[[], None] = lambda: None,
        *,
        budget: float = 1e9,
    ) -> None:
        self._check, self.budget = check, budget
        self._steps, self._output = recording.steps, recording.output
        self._shapes = recording.shapes
        self._plan: tuple[tuple[Window, int | None], dict[int, Window], list[tuple[Step, list[Window]]]] | None = None
        self._last_use = {i: step.output for step in self._steps for i in step.inputs}
        numbers = [0, *(step.output for step in self._steps)]
        self._largest = max(_count(self._shapes[i]) for i in numbers)
        self.bytes_per_direction = 4 * element_size * self._largest

    @property
    def largest_value(self) -> int:
        """Numbers in the largest feature map."""
        return self._largest

    def push(self, v: Tensor) -> Tensor:
        """J v for `v` of shape (batch, *input shape)."""
        return self.push_all(v, frozenset())[self._output].contiguous()

    def push_all(self, v: Tensor, held: Collection[int]) -> dict[int, Tensor]:
        """The tangents of the output and of the values `held` along `v`."""
        self._check()
        with torch.no_grad():
            values = {0: v.contiguous(memory_format=torch.channels_last)}
            fresh = {0: False}
            for step in self._steps:
                inputs = [values[i] for i in step.inputs]
                done = [i for i in step.inputs if self._last_use[i] == step.output and i not in held]
                if isinstance(step.map, Scale) and done and fresh[done[0]]:
                    values[step.output] = inputs[0].mul_(step.map.factor)
                else:
                    values[step.output] = step.map.push(*inputs)
                fresh[step.output] = step.map.fresh
                for i in done:
                    values.pop(i, None)
            return values

    def pull(self, u: Tensor) -> Tensor:
        """J^T u for `u` of shape (batch, *output shape)."""
        _, height, width = self._shapes[self._output]
        part, window = self.pull_window(u, ((0, height), (0, width)))
        shape = self._shapes[0]
        if part.shape[1:] == shape:
            return part.contiguous()
        whole = torch.zeros(len(u), *shape, dtype=u.dtype, device=u.device)
        _on(whole, window).copy_(part)
        return whole

    def pull_window(self, u: Tensor, window: Window) -> tuple[Tensor, Window]:
        """J^T u for `u` that lives on a window of the output, on the window of the input where it does not vanish."""
        gradients, windows = self._pull(u, window, None)
        return gradients[0], windows[0]

    def pull_to(self, u: Tensor, window: Window, held: int) -> tuple[Tensor, Window, Tensor | None, Window]:
        """As `pull_window`, but back to the value `held`; also what reaches the input around it, or None."""
        gradients, windows = self._pull(u, window, held)
        return gradients[held], windows[held], gradients.get(0), windows.get(0, ((0, 0), (0, 0)))

    def pull_through(self, u: Tensor, at: Callable[[int, Tensor, bool], Tensor]) -> Tensor:
        """J^T u, where `at` may change the cotangents of all values on their way.

        `at` gets the number of a value, its cotangent, and whether that may be overwritten.
        """
        _, height, width = self._shapes[self._output]
        return self._pull(u, ((0, height), (0, width)), None, at)[0][0].contiguous()

    def _pull(
        self, u: Tensor, window: Window, held: int | None, at: Callable[[int, Tensor, bool], Tensor] | None = None
    ) -> tuple[dict[int, Tensor], dict[int, Window]]:
        """The cotangents at the input and at `held`, behind which nothing is computed, and the windows of all values."""
        self._check()
        windows, plan = self._planned(window, held)
        gradients = {self._output: u.contiguous(memory_format=torch.channels_last)}
        owned: set[int] = set()
        with torch.no_grad():
            for step, reaches in plan:
                g = gradients.pop(step.output)
                if at is not None:
                    g = at(step.output, g, step.output in owned)
                where = windows[step.output]
                if isinstance(step.map, Scale) and step.output in owned:
                    parts = [g.mul_(step.map.on(where))]
                else:
                    parts = step.map.pull(g, where)
                for i, part, reached in zip(step.inputs, parts, reaches, strict=True):
                    self._add(gradients, owned, i, part, reached, windows[i], fresh=step.map.fresh)
            if at is not None:
                gradients[0] = at(0, gradients[0], 0 in owned)
        return gradients, windows

    def _planned(self, window: Window, held: int | None) -> tuple[dict[int, Window], list[tuple[Step, list[Window]]]]:
        """The windows of all values, and the steps back with what each reaches; held for the next call."""
        if self._plan is None or self._plan[0] != (window, held):
            windows = self.windows(window, held)
            steps = [step for step in reversed(self._steps) if step.output in windows and step.output != held]
            plan = [(step, step.map.reach(windows[step.output])) for step in steps]
            self._plan = (window, held), windows, plan
        return self._plan[1], self._plan[2]

    def windows(self, window: Window, held: int | None = None) -> dict[int, Window]:
        """For each value the window on which a window of the output depends, not looking behind the value `held`."""
        reached_windows = {self._output: window}
        for step in reversed(self._steps):
            if step.output in reached_windows and step.output != held:
                for i, reached in zip(step.inputs, step.map.reach(reached_windows[step.output]), strict=True):
                    reached_windows[i] = _union(reached_windows[i], reached) if i in reached_windows else reached
        return reached_windows

    def work(self, window: Window, held: int | None = None) -> int:
        """Operations of `pull_window` for one direction, or of `pull_to`."""
        windows = self.windows(window, held)
        steps = (step for step in self._steps if step.output in windows and step.output != held)
        return sum(step.map.work(windows[step.output]) for step in steps)

    def reached(self, window: Window) -> Window:
        """The window of the input on which a window of the output depends."""
        return self.windows(window)[0]

    @property
    def recorded(self) -> tuple[Step, ...]:
        """The linear maps and what they connect."""
        return self._steps

    @property
    def steps(self) -> int:
        """Number of linear maps."""
        return len(self._steps)

    @staticmethod
    def _add(
        gradients: dict[int, Tensor],
        owned: set[int],
        i: int,
        part: Tensor,
        reached: Window,
        whole: Window,
        *,
        fresh: bool,
    ) -> None:
        """Add a gradient, which may live on a part of the window, to what value `i` has already."""
        if i not in gradients:
            if reached == whole:
                gradients[i] = part
                if fresh:
                    owned.add(i)
                return
            gradients[i] = part.new_zeros(*part.shape[:2], *(b - a for a, b in whole)).contiguous(
                memory_format=torch.channels_last
            )
            owned.add(i)
        elif i not in owned and fresh and reached == whole:
            gradients[i] = part.add_(gradients[i])
            owned.add(i)
            return
        elif i not in owned:
            gradients[i] = gradients[i].clone()
            owned.add(i)
        inside = tuple((a - top, b - top) for (a, b), (top, _) in zip(reached, whole, strict=True))
        _on(gradients[i], inside).add_(part)


def _on(x: Tensor, window: Window | tuple[tuple[int, int], ...]) -> Tensor:
    (top, bottom), (left, right) = window
    return x[:, :, top:bottom, left:right]


def _union(a: Window, b: Window) -> Window:
    rows, columns = ((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a, b, strict=True))
    return rows, columns


def _count(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]
