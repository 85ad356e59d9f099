"""Loss functions of thesis chapter 4: pure functions of tensors, each returning a scalar float32."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-log D(G(z)), the non-saturating form of Equation 4.1 (Goodfellow et al. 2014). fake_logits: (B,)."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), Equation 4.1. Logits (B,)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def epsilon_penalty(real_logits: Tensor) -> Tensor:
    """Mean squared logit of real images: keeps logits from drifting (Karras et al. 2018, appendix A.1)."""
    return real_logits.square().mean()


def r1_penalty(discriminate: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Mean over images of |grad D|^2 at real images (Mescheder et al. 2018, Equation 9, without gamma / 2).

    discriminate: images (B, C, H, W) -> logits (B,). Differentiable in the discriminator's weights.
    """
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminate(images).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def feature_matching_loss(
    real: Sequence[Tensor], generated: Sequence[Tensor], maps: Sequence[int], *, normalized: bool
) -> Tensor:
    """Equations 4.2 and 4.3: sum over the chosen maps of the mean |A_n - B_n|.

    real, generated: the discriminator's feature maps, finest first, each (B, C_n, H_n, W_n).
    maps: indices n, counted from 1 = highest resolution, as thesis 4.6.1 does.
    normalized: divide by each channel's deviation over real and generated maps together (thesis 4.8).
    No gradient reaches the real maps.
    """
    total = torch.zeros((), device=generated[0].device)
    for n in maps:
        a, b = real[n - 1].detach(), generated[n - 1]
        distance = (a - b).abs().mean((0, 2, 3), dtype=torch.float32)
        if normalized:
            distance = distance / pooled_deviation(a, b.detach())
        total = total + distance.mean()
    return total


def pooled_deviation(a: Tensor, b: Tensor) -> Tensor:
    """Standard deviation per channel of two maps (B, C, H, W) taken together: float32 (C,).

    The pooled mean is not needed by the loss: it cancels in the difference of two maps normalised alike.
    """
    # From the first two moments: `var` over channels-last maps would copy them, and be a tenth of a step.
    moments = [(x.float().mean((0, 2, 3)), x.float().square().mean((0, 2, 3))) for x in (a, b)]
    mean, power = (torch.stack(values).mean(0) for values in zip(*moments, strict=True))
    return ((power - mean.square()).clamp_min(0) + 1e-6).sqrt()


def kl_divergence(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, I)) in nats, Equation 4.5: summed over the J dimensions of z.

    mu, log_variance: (B, J). Mean over the batch.
    """
    return -0.5 * (1 + log_variance - mu.square() - log_variance.exp()).sum(1).mean()


def path_length(images: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
    """|J^T y| of StyleGAN2, section 3.2: how much each image moves per unit of w. float32 (B,), differentiable.

    images: (B, C, H, W), generated from `styles`, (B, L, D), one w per layer.
    noise: y, standard normal (B, C, H, W); it is divided by sqrt(H W), so that lengths compare between sizes.
    The norm is over D, and the root mean square over the layers, as if each had a w of its own.
    """
    projected = (images.float() * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad(projected, styles, create_graph=True)
    # Where nobody is painted the gradient is zero, and the derivative of the root would be infinite.
    return gradient.float().square().sum(2).mean(1).clamp_min(1e-12).sqrt()


def path_length_penalty(lengths: Tensor, mean: Tensor) -> Tensor:
    """Equation 4 of StyleGAN2 (Karras et al., arXiv:1912.04958): mean of (|J^T y| - a)^2.

    lengths: (B,) of `path_length`; mean: scalar a, the running mean of earlier lengths, a constant here.
    """
    return (lengths - mean.detach()).square().mean()
