"""Whether a network is the one that its weights are said to be, asked before it produces a score.

Packaged networks answer a fixed probe; what they must say is stored in their card. The official ones cannot be
asked that way, since their answers would have to be computed from the files first: a hash guards them, and a
network that was never trained, or that does not look at its input, is refused.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from anonbench.cards import KnownAnswer
from anonbench.errors import WeightsError

_NUMBERS = 8

Network = Callable[[Tensor], Tensor]


def probe(size: tuple[int, int] = (64, 64)) -> Tensor:
    """uint8 (2, 3, H, W): a coloured pattern and its negative, from integers, the same on every machine."""
    y, x, c = torch.meshgrid(*(torch.arange(n) for n in (*size, 3)), indexing="ij")
    waves = (x * (7 + 2 * c) + y * (3 + 4 * c) + (x * y) // (5 + c) + 60 * c) % 511
    pattern = (
        (waves - 255).abs().to(torch.uint8).permute(2, 0, 1)
    )  # triangles: no edges that resizing would blur
    return torch.stack([pattern, 255 - pattern])


def answer_of(output: Tensor) -> KnownAnswer:
    """What is stored of a network's output of any shape: projections to which every number of it contributes."""
    flat = output.detach().double().cpu().reshape(-1)
    waves = torch.outer(torch.arange(1, _NUMBERS + 1), torch.arange(len(flat))).double().cos()
    return KnownAnswer(values=tuple(float(f"{value:.6g}") for value in (waves @ flat).tolist()))


@torch.inference_mode()
def require_answer(network: Network, question: Tensor, expected: KnownAnswer | None, source: str) -> None:
    """Ask a network on the CPU. Raises WeightsError naming `source` when it answers something else.

    expected: none where a card stores no answer; its sha256 is then the only guard.
    """
    if expected is None:
        return
    with torch.autocast("cpu", enabled=False):
        found = answer_of(network(question)).values
    scale = max(map(abs, expected.values))
    deviation = max(abs(f - e) for f, e in zip(found, expected.values, strict=True)) / scale
    if not deviation <= expected.tolerance:  # also when it is not a number
        raise WeightsError(
            f"{source}: a network with these weights does not answer as its card says (deviation {deviation:.2g}, "
            f"at most {expected.tolerance:g}): the weights, the code or the libraries are not those it was made with"
        )


def require_trained(network: nn.Module, source: str) -> None:
    """Raises WeightsError, naming `source` and a layer, for weights that no training can have left behind.

    Numbers that are not finite; batch normalization whose running statistics are still mean 0 and variance 1;
    without such layers, convolutions whose biases are all still zero.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise WeightsError(f"{source}: tensor '{name}' is not finite; get the file again")
    norms = {n: m for n, m in network.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)}
    for name, norm in norms.items():
        if _untouched(norm):
            raise _untrained(source, f"'{name}' has never seen an image")
    biases = [m.bias for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    if biases and not norms and not any(bias.any() for bias in biases):
        raise _untrained(source, "all biases of its convolutions are zero")


@torch.inference_mode()
def require_sound(network: Network, source: str, size: tuple[int, int] = (64, 64)) -> None:
    """Raises WeightsError for a network whose features are not finite or do not depend on the image."""
    with torch.autocast("cpu", enabled=False):
        output = network(probe(size))
    if not output.isfinite().all():
        raise WeightsError(
            f"{source}: a network with these weights gives no finite features; get the file again"
        )
    if torch.equal(output[0], output[1]):
        raise WeightsError(
            f"{source}: a network with these weights gives the same features for every image; get the file again"
        )


def _untouched(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        return False
    return not bool(mean.any()) and bool((variance == 1).all())


def _untrained(source: str, why: str) -> WeightsError:
    return WeightsError(f"{source}: weights of a network that was not trained ({why}); get the official file")
