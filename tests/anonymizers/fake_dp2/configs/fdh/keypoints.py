from functools import partial

from dp2.generator import OneColour
from tops.config import Section

generator = Section(
    _target_=OneColour,
    _args_=(),
    imsize=(32, 16),
    z_channels=6,
    input_cse=False,
    input_keypoints=True,
    input_joint=True,
)


def new_names(state):
    return {name.replace("old_weight", "weight"): tensor for name, tensor in state.items()}


ckpt_mapper = Section(_target_=partial, _args_=(new_names,))
