"""The exponential running average of the weights of a network in training, a <- a + w (m - a)."""

import torch
from torch import Tensor

__all__ = ["RunningAverage", "tensors"]


def tensors(f: torch.nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network by name: parameters, and buffers that are saved.

    Examples
    --------
    >>> list(tensors(torch.nn.Linear(2, 1)))
    ['weight', 'bias']
    """
    return {name: value for name, value in f.state_dict().items() if isinstance(value, Tensor)}


class RunningAverage:
    """The average of a model, in place; what is averaged is looked up once, which costs as much as a layer at each step.

    Parameters
    ----------
    average
        A copy of the model, which is changed.
    model
        The network in training.

    Examples
    --------
    >>> average, model = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    >>> average.weight.data.fill_(1.0), model.weight.data.fill_(2.0)
    (tensor([[1.]]), tensor([[2.]]))
    >>> RunningAverage(average, model).update(0.25)
    >>> average.weight.item()
    1.25
    """

    def __init__(self, average: torch.nn.Module, model: torch.nn.Module) -> None:
        self.average, self.model, self.modules = average, model, list(model.modules())
        self.buffers, self.pairs = self._buffers(), self._pairs()

    def _buffers(self) -> list[Tensor | None]:
        return [buffer for module in self.modules for buffer in module._buffers.values()]

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        means, values = tensors(self.average), tensors(self.model)
        once = {mean.data_ptr(): name for name, mean in means.items()}  # tied parameters have several names
        return [(means[name], values[name]) for name in once.values()]

    def update(self, weight: float) -> None:
        """Move the average by `weight` of the way to the model."""
        buffers = self._buffers()
        if any(now is not before for now, before in zip(buffers, self.buffers, strict=True)):
            self.buffers, self.pairs = buffers, self._pairs()  # a module may put another tensor in place of a buffer
        with torch.no_grad():
            real = [pair for pair in self.pairs if pair[0].is_floating_point()]
            torch._foreach_lerp_([mean for mean, _ in real], [value for _, value in real], weight)
            for mean, value in self.pairs:
                if not mean.is_floating_point():  # the number of batches that a batch norm has seen
                    mean.copy_(value)
