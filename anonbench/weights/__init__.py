"""Official weights: a registry with hashes, downloads, safe reading, and checks that a network is the right one."""

from anonbench.weights.files import (
    WrongHashError,
    file_sha256,
    load_strictly,
    read_tensors,
    require_sha256,
)
from anonbench.weights.registry import (
    PackagedFile,
    VerifiedWeights,
    WeightsCard,
    WeightsStatus,
    list_weights,
    verified_weights,
    weights_card,
    weights_dir,
    weights_path,
)

__all__ = [
    "PackagedFile",
    "VerifiedWeights",
    "WeightsCard",
    "WeightsStatus",
    "WrongHashError",
    "file_sha256",
    "list_weights",
    "load_strictly",
    "read_tensors",
    "require_sha256",
    "verified_weights",
    "weights_card",
    "weights_dir",
    "weights_path",
]
