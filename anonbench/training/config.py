"""The `training:` section of a model card: how the model was, or is to be, trained."""

from pydantic import Field, model_validator

from anonbench.cards import Strict


class TrainingData(Strict):
    """The crops that a model is trained on: synthetic ones, which the card describes, or a data set on disk."""

    name: str = Field(default="synthetic", description="data set")
    version: int | None = Field(
        default=None, description="synthetic: version of the renderer; others render other pixels"
    )
    split: str = "train"
    seed: int = 0
    count: int = Field(gt=0, description="distinct crops")
    context_correlation: float | None = Field(
        default=None, description="synthetic: strength of the tie between scene and garments"
    )
    sha256: str | None = Field(default=None, description="data on disk: digest of the data set")
    kept: str | None = Field(default=None, description="sha256 of the keys that `anonbench data filter` kept")

    @model_validator(mode="after")
    def _described(self) -> "TrainingData":
        if self.name == "synthetic" and (self.version is None or self.context_correlation is None):
            raise ValueError("synthetic data need version and context_correlation")
        return self


class LossWeights(Strict):
    """Equation 4.6 and the regularisers of thesis 5.2. Without an appearance mapper the first three rest."""

    feature_matching: float = Field(default=5.0, ge=0, description="lambda_fm")
    feature_matching_maps: tuple[int, ...] = Field(
        default=(1, 2, 3, 4, 5),
        description="maps with lambda_fm^n = 1; map 1 has the highest resolution (4.6.1)",
    )
    normalized_feature_matching: bool = Field(default=True, description="thesis 4.8")
    kl: float = Field(
        default=0.01, ge=0, description="lambda_kl; the divergence is summed over the dimensions of z"
    )
    kl_warmup_images: int = Field(
        default=50_000,
        ge=0,
        description="lambda_kl grows linearly over these; with full weight from the start z is ignored",
    )
    r1: float = Field(default=1.0, ge=0, description="gamma of R1; its loss is gamma / 2 * penalty")
    r1_interval: int = Field(
        default=16, ge=1, description="steps between R1 penalties, which count that many times"
    )
    epsilon: float = Field(default=1e-3, ge=0, description="weight of the epsilon penalty")
    path_length: float = Field(
        default=0.0,
        ge=0,
        description="weight of path length regularization (StyleGAN2, section 3.2); 0: off, as in the thesis",
    )
    path_length_interval: int = Field(
        default=4, ge=1, description="steps between path length penalties, which count that many times"
    )


class TrainingRecord(Strict):
    """What came of a run, written into the card with the weights."""

    images: int = Field(gt=0, description="images shown when the weights were taken")
    hardware: str
    wall_hours: float = Field(ge=0)
    parameters: dict[str, int] = Field(description="trained parameters per network")
    final: dict[str, float] = Field(
        description="means over the last log lines: losses, kl_nats, mu_squared, sigma_squared, ..."
    )


class TrainingConfig(Strict):
    """One training run, as it starts, and what came of it once it has ended."""

    data: TrainingData
    images: int = Field(gt=0, description="images shown, the length of the run")
    batch_size: int = Field(default=16, ge=1, description="images of one update, over all devices")
    learning_rate: float = Field(default=2e-3, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    seed: int = 0
    flip_probability: float = Field(default=0.5, ge=0, le=1)
    mask_dilation: float = Field(
        default=0.0, ge=0, le=1, description="share of person masks that are dilated (thesis 7.2.4)"
    )
    style_mixing: float = Field(
        default=0.0, ge=0, le=1, description="share of drawn z that mix two (thesis 2.10.5)"
    )
    precision: str = Field(default="bf16", pattern="^(bf16|fp32)$")
    ema_half_life: float = Field(default=10_000, gt=0, description="images")
    ema_ramp_up: float = Field(
        default=0.05, gt=0, description="half-life at most this share of the images seen"
    )
    losses: LossWeights = LossWeights()
    record: TrainingRecord | None = Field(
        default=None, description="outcome of the run; absent before it has ended"
    )
