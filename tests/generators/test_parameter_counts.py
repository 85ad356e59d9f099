"""How large every packaged model is: a change of the networks cannot go unnoticed."""

import pytest

from anonbench.cards import ModelCard, packaged_card, validate_section
from anonbench.generators.config import ArchitectureConfig
from anonbench.training.networks import Networks

SLIM = {"generator": 866_868, "discriminator": 1_190_225}
MAPPER = {"mapper": 280_144}
CO_MODULATED = SLIM | MAPPER | {"generator": 916_276}
COUNTS = {
    "baseline": SLIM,
    "final": CO_MODULATED,
    "ablation_baseline": SLIM,
    "ablation_base": SLIM | MAPPER,
    "ablation_more_maps": SLIM | MAPPER,
    "ablation_co_modulation": CO_MODULATED,
    "ablation_discriminator": CO_MODULATED,
    "ablation_larger": {"generator": 3_240_020, "mapper": 1_053_216, "discriminator": 4_756_641},
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_ever(name):
    card = packaged_card("models", name, ModelCard)
    architecture = validate_section(ArchitectureConfig, card.architecture, name)
    assert Networks.build(architecture, seed=0).parameter_counts() == COUNTS[name]
