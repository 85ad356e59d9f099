import pytest

from anonbench.training.progress_bar import TrainingBar


def test_without_a_terminal_each_report_is_a_line_with_the_speed_since_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingBar(1000) as bar:
        bar.begin(images_seen=100, seconds=50.0)
        bar.at(200)
        bar.report(200, 52.0, {"generator": 0.5, "real_logit": 3.0, "discriminator": 1.25})
        with bar.aside():
            pass
        bar.report(300, 57.0, {"generator": 0.25})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "200 images  50 images/s  generator 0.500  discriminator 1.250",
        "300 images  20 images/s  generator 0.250",
    ]


def test_only_the_first_process_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingBar(1000, shown=False) as bar:
        bar.report(200, 52.0, {"generator": 0.5})
    assert capsys.readouterr().err == ""
