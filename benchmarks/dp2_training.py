"""DeepPrivacy2's own trainer at a chosen width, one step at a time: the peer of test_training_speed.py.

dp2 is imported as its users import it: from a clone with `pip install -e .` (docs/deep_privacy2.md).
"""

import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.generators.conditions import conditions_of

CONFIG = "configs/fdh/styleganL.py"
"""Its full-body StyleGAN at 288x160, conditioned on surfaces as the thesis' baseline is (section 4.4)."""


def checkout() -> Path:
    """The clone that dp2 is imported from; skips the test where there is none."""
    try:
        import dp2
        from tops.config import LazyConfig  # noqa: F401
    except ImportError as error:
        pytest.skip(f"DeepPrivacy2 is not installed: {error}")
    return Path(str(dp2.__file__)).parents[1]


def revision() -> str:
    """Commit of the clone."""
    command = ["git", "-C", str(checkout()), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


class Dp2Training:
    """`GANTrainer.step_D`, `step_G` and the moving average of its loop, on one batch that is ready in memory."""

    def __init__(
        self, crops: PersonCrops, width: int, discriminator_width: int, device: str, folder: Path
    ) -> None:
        path = checkout() / CONFIG
        warnings.simplefilter("ignore")  # it is written for an older torch
        import tops
        from dp2.gan_trainer import GANTrainer
        from dp2.utils import EMA
        from tops.checkpointer import checkpointer
        from tops.config import LazyConfig, instantiate

        config = LazyConfig.load(str(path))
        config.generator.cnum, config.discriminator.cnum = width, discriminator_width
        config.train.batch_size = len(crops)
        config.train.amp.enabled = False
        tops.set_AMP(False)
        checkpointer.init(folder)
        torch.manual_seed(0)
        self.generator = instantiate(config.generator)
        self.discriminator = instantiate(config.discriminator).to(device)
        average = EMA(self.generator, len(crops), **config.EMA)
        self.generator.to(device)
        self._loss = instantiate(config.loss_fnc, D=self.discriminator, G=self.generator)
        self._trainer: Any = GANTrainer(
            G=self.generator, D=self.discriminator, G_EMA=average,
            D_optim=instantiate(config.D_optim, params=self.discriminator.parameters()),
            G_optim=instantiate(config.G_optim, params=self.generator.parameters()),
            scaler_D=instantiate(config.train.amp.scaler_D), scaler_G=instantiate(config.train.amp.scaler_G),
            dl_train=None, dl_val=None, evaluate_fn=None, loss_handler=self._loss, batch_size=len(crops),
            ims_per_log=1, ims_per_val=1, max_images_to_train=1, save_state=False,
            broadcast_buffers=config.train.broadcast_buffers, fp16_ddp_accumulate=False,
        )  # fmt: skip
        self._batch = {name: tensor.to(device) for name, tensor in batch_of(crops).items()}
        self.r1_interval = int(config.loss_fnc.lazy_reg_interval)

    def step(self, with_r1: bool) -> None:
        """One pass of its training loop."""
        self._loss.gradient_step_D = 0 if with_r1 else 1
        batch = dict(self._batch)
        self._trainer.G_EMA.update_beta()
        self._trainer.step_D(batch)
        self._trainer.step_G(batch)
        self._trainer.G_EMA.update(self.generator)


def batch_of(crops: PersonCrops) -> dict[str, Tensor]:
    """The crops as dp2's loader and transforms leave them."""
    conditions = conditions_of(crops)
    return {
        "img": conditions.image,
        "mask": 1 - conditions.person_mask,
        "condition": conditions.background,
        "embedding": conditions.embedding,
        "E_mask": conditions.surface_mask,
    }
