"""Networks built from a saved configuration: their name and arguments as JSON values.

A configuration may be damaged, or written to do harm. What the tensors beside it show must agree with it before
anything is built: a depth of 10^8 that no tensor bears out is refused, and costs nothing.
"""

from collections.abc import Mapping
from typing import Any

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Adapted
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints.adapted import adapted_from
from gahb_theory.denoisers.checkpoints.building import fill, sketched, sketched_filled
from gahb_theory.denoisers.checkpoints.own_states import SEEN
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors, short
from gahb_theory.denoisers.networks.conservative import Conservative, conservative_from
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.initialisation import on_meta
from gahb_theory.denoisers.networks.ircnn import IRCNN

__all__ = ["NETWORKS", "configured", "conservative_configuration", "is_adapted", "misfit"]

NETWORKS: tuple[type[Network], ...] = (*SEEN, IRCNN, FFDNet, DRUNet)
INSIDE: dict[str, type[Network]] = {network.__name__: network for network in NETWORKS}
MOST_STAGES = 10_000


def conservative(network: str, arguments: Mapping[str, Any]) -> Conservative:
    """The conservative denoiser around a network of this library."""
    return conservative_from(INSIDE, network, arguments)


KNOWN: dict[str, Any] = INSIDE | {Conservative.__name__: conservative}


def conservative_configuration(network: type[Network], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the conservative denoiser around a network."""
    inner = {"network": network.__name__, "arguments": dict(arguments)}
    return {"network": Conservative.__name__, "arguments": inner}


def is_adapted(config: Any) -> bool:
    """Whether this is the configuration of an adapted network."""
    return isinstance(config, dict) and config.get("network") == Adapted.__name__


def misfit(source: str, reason: str) -> ValueError:
    """What is raised for a configuration that describes no network of this library, or another than the tensors are."""
    names = ", ".join(n.__name__ for n in NETWORKS[:2])
    return ValueError(
        f"{source} does not fit a network of this library ({names}, and {len(NETWORKS) - 2} more): {reason}"
    )


def configured(tensors: Tensors, config: Any, source: str) -> Network | Adapted:
    """The network that a configuration describes, with the tensors, in eval mode.

    Raises
    ------
    ValueError
        If the configuration is damaged, or the tensors are not those of the network.
    """
    try:
        arguments = dict(config["arguments"])
        if is_adapted(config):
            with on_meta():
                sketch = adapted_from(arguments, KNOWN)
            sketched(sketch, tensors, source, "the adapted network it describes")
            return sketched_filled(adapted_from(arguments, KNOWN), tensors)  # type: ignore[return-value]
        _check(tensors, config["network"], arguments, source)
        return fill(KNOWN[config["network"]], arguments, tensors, source)
    except Exception as error:  # any value may stand in a damaged configuration
        if isinstance(error, ValueError) and "does not fit a network" in str(error):
            raise
        reason = short(str(error).replace(source, "it"), 250)
        reason = f"unknown network or argument {reason}" if isinstance(error, KeyError) else reason
        raise misfit(source, reason) from error


def _check(tensors: Tensors, name: str, arguments: Mapping[str, Any], source: str) -> None:
    """Refuse arguments that the tensors contradict, and a number of stages, which no tensor shows, without end."""
    if name == Conservative.__name__:
        inner = {key.removeprefix("network."): t for key, t in tensors.items()}
        _check(inner, arguments["network"], arguments["arguments"], source)
        return
    network = INSIDE[name]
    shown = SEEN[network](tensors) if network in SEEN else {}
    for key in shown.keys() & arguments.keys() - {"size", "patch", "image_channels"}:
        if arguments[key] != shown[key]:
            reason = f"it says {key}={short(arguments[key])}, but its tensors show {key}={short(shown[key])}"
            raise misfit(source, reason)
    if "stages" in arguments:
        validate.integer(arguments["stages"], "stages", 1, MOST_STAGES)
