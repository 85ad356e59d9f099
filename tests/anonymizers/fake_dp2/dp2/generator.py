"""A generator with dp2's interface that paints the whole image in one colour per latent."""

import torch
from torch import nn

print("dp2 says something on import")  # the real one does


class OneColour(nn.Module):
    def __init__(self, imsize, z_channels, input_cse, input_keypoints, input_joint):
        super().__init__()
        self.imsize, self.z_channels = tuple(imsize), z_channels
        self.input_cse, self.input_keypoints, self.input_joint = input_cse, input_keypoints, input_joint
        self.weight = nn.Parameter(torch.randn(z_channels, 3))
        self.register_buffer("w_avg", torch.zeros(3))
        self.seen = []

    def sample(self, truncation_value, z, **batch):
        assert not self.training
        self.seen.append(batch)
        colour = torch.tanh(self.w_avg.lerp(z @ self.weight, truncation_value))
        return {"img": colour[:, :, None, None].expand(-1, -1, *self.imsize)}
