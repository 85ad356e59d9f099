from dp2.generator import OneColour
from tops.config import Section

generator = Section(
    _target_=OneColour,
    _args_=(),
    imsize=(32, 16),
    z_channels=6,
    input_cse=False,
    input_keypoints=False,
    input_joint=False,
)
