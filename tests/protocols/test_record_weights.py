"""Claims about the weight files that a record names."""

from pathlib import Path

import pytest

from anonbench.errors import WeightsError
from anonbench.protocols.runner import _weights_run


def test_files_of_extractors_are_named_with_hash_and_trust_and_packaged_networks_have_none() -> None:
    (found,) = _weights_run(["mobilenet_v2", "perceptual_mobilenet_v2", "osnet_synthetic", "foreign"]).items()
    assert found[0] == "mobilenet_v2"
    assert found[1].trust == "published"
    assert len(found[1].sha256) == 64


def test_an_absent_file_is_no_weight_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="inception_v3"):
        _weights_run(["inception_v3"])
