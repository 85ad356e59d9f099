"""Contact sheets hold every picture, in order."""

from pathlib import Path

import numpy as np
import pytest

from anonbench.reporting.contact_sheets import PAGE, contact_sheet, page_paths


def test_pictures_stand_in_rows_above_their_captions() -> None:
    images = np.stack([np.full((20, 30, 3), 40 * (i + 1), np.uint8) for i in range(5)])
    sheet = np.asarray(contact_sheet(images, ["one", "two", "three", "a long caption", ""], columns=2))
    tops, lefts = (16, 64, 112), (16, 56)
    for i in range(5):
        top, left = tops[i // 2], lefts[i % 2]
        assert (sheet[top : top + 20, left : left + 30] == 40 * (i + 1)).all()
    below = sheet[36:54, 16:46]
    assert (below < 128).any()
    assert (sheet[112:132, 56:86] == 255).all()


def test_a_sheet_without_pictures_or_captions_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="one caption each"):
        contact_sheet(np.zeros((0, 4, 4, 3), np.uint8), [])
    with pytest.raises(ValueError, match="one caption each"):
        contact_sheet(np.zeros((2, 4, 4, 3), np.uint8), ["one"])


def test_many_pictures_take_several_pages() -> None:
    assert page_paths(Path("look.png"), PAGE) == [Path("look.png")]
    assert page_paths(Path("look.png"), PAGE + 1) == [Path("look.png"), Path("look.2.png")]
    assert page_paths(Path("look.png"), 0) == []
