"""Cards: what is wrong is named with file, line and key."""

from pathlib import Path

import pytest

from anonbench.cards import (
    ModelCard,
    ProtocolCard,
    packaged_card,
    packaged_cards,
    packaged_paths,
    read_card,
    validate_section,
)
from anonbench.errors import CardError, UsageError
from anonbench.protocols.registry import protocol_names

GOOD = "name: blur\nkind: gaussian_blur\ndescription: A blur.\noptions:\n  sigma: 0.1\n"


def card(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "blur.yaml"
    path.write_text(text)
    return path


def test_a_card_reads_back(tmp_path: Path) -> None:
    read = read_card(card(tmp_path, GOOD), ModelCard)
    assert (read.name, read.kind, read.options) == ("blur", "gaussian_blur", {"sigma": 0.1})


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        (GOOD + "colour: red\n", 6, "colour", "unknown key"),
        (GOOD.replace("name: blur", "name: Bad Name"), 1, "name", "pattern"),
        (GOOD.replace("description: A blur.\n", ""), 1, "description", "field required"),
        (GOOD + "checkpoint:\n  file: ../x.safetensors\n  sha256: 00\n", 7, "checkpoint.file", "pattern"),
        (GOOD + "latent_dim: 0\n", 6, "latent_dim", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, reason: str
) -> None:
    path = card(tmp_path, text)
    with pytest.raises(CardError, match=reason) as caught:
        read_card(path, ModelCard)
    assert f"{path}:{line}: key '{key}'" in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "name: &a [*a"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CardError, match="blur.yaml"):
        read_card(card(tmp_path, text), ModelCard)


def test_yaml_cannot_build_objects(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="not valid YAML"):
        read_card(card(tmp_path, GOOD + "training: !!python/object/apply:os.getcwd []\n"), ModelCard)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"absent\.yaml"):
        read_card(tmp_path / "absent.yaml", ModelCard)


def test_the_digest_ignores_layout_and_notices_content(tmp_path: Path) -> None:
    first = read_card(card(tmp_path, GOOD), ModelCard).digest
    reordered = "kind: gaussian_blur\n" + GOOD.replace("kind: gaussian_blur\n", "# note\n")
    assert read_card(card(tmp_path, reordered), ModelCard).digest == first
    assert read_card(card(tmp_path, GOOD.replace("0.1", "0.2")), ModelCard).digest != first


def test_a_section_names_its_key() -> None:
    with pytest.raises(CardError, match="somewhere: key 'colour': unknown key"):
        validate_section(ModelCard, {"name": "a", "kind": "b", "description": "", "colour": 1}, "somewhere")


def test_every_packaged_protocol_has_all_presets_and_three_seeds_or_more_where_numbers_are_published() -> (
    None
):
    cards = packaged_cards("protocols", ProtocolCard)
    assert set(cards) == set(protocol_names())
    for protocol in cards.values():
        assert set(protocol.presets) == {"smoke", "demo", "full", "paper"}
        assert protocol.presets["full"].seeds >= 3
        assert protocol.presets["paper"].seeds >= 3
        assert all(side % 8 == 0 for preset in protocol.presets.values() for side in preset.size)


def test_an_unknown_card_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="reid"):
        packaged_card("protocols", "nonsense", ProtocolCard)


def test_ablations_are_models_too_and_come_last() -> None:
    paths = packaged_paths("models")
    names = [name for name, path in paths.items() if path.parent.name == "ablations"]
    assert len(names) == 6
    assert list(paths)[-6:] == names == sorted(names)
    assert packaged_cards("models", ModelCard).keys() == paths.keys()


def test_a_name_is_taken_once_among_folders_that_are_one_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ablations").mkdir()
    for folder in (tmp_path, tmp_path / "ablations"):
        card(folder, GOOD)
    monkeypatch.setattr("anonbench.cards.resource_dir", lambda _: tmp_path)
    with pytest.raises(CardError, match=r"ablations/blur\.yaml: .*blur\.yaml has the same name"):
        packaged_paths("models")
