"""What anonymized images still tell about the person: classifiers trained on other people's anonymized images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.datasets.base import AttributedDataset
from anonbench.datasets.imposed import ImposedOutcomes
from anonbench.metrics.attackers import GaussianClassifier
from anonbench.metrics.privacy import balanced_accuracy
from anonbench.metrics.ranking import DISTRACTOR_ID
from anonbench.protocols.privacy_linkage import fresh_images
from anonbench.protocols.privacy_people import People
from anonbench.protocols.privacy_results import Results
from anonbench.protocols.privacy_views import BOTH, Views
from anonbench.protocols.scoring import Context, long_form
from anonbench.records import Metric

Classes = NDArray[np.str_]
Integers = NDArray[np.int64]
Matrix = NDArray[np.float64]

LEAST_PEOPLE = 2
"""A class with fewer training people, or without a tested one, is left out."""
DIMS = (8, 16, 32, 64)
"""Principal components that are tried."""
FOLDS = 3


@dataclass(frozen=True)
class Question:
    """One attribute. key, truth, person: (N,) name, class and person of every image. train, tested: positions."""

    attribute: str
    key: Classes
    truth: Classes
    person: Integers
    train: Integers
    tested: Integers


def measure_attributes(context: Context, people: People, results: Results, views: Views) -> None:
    """Balanced accuracy of every attribute that the data knows, by what `views` show."""
    questions = _questions(context, people)
    if not questions:
        return
    original = views.of(context.generation.original())[BOTH]
    anonymized = [views.of(fresh_images(context, seed))[BOTH] for seed in context.seeds]
    for question in questions:
        key = f"privacy.attributes.{question.attribute}.{views.extractor.name}"
        _answer(key, question, anonymized, original, results)


def questions_about(known: pd.DataFrame, people: People) -> list[Question]:
    """Every attribute with two classes or more that have people on both sides.

    known: `AttributedDataset.attributes`.
    """
    found = []
    for attribute in known.columns:
        truth, person = known[attribute].to_numpy(np.str_), people.labels.person
        usable = [name for name in np.unique(truth[truth != ""]) if _on_both_sides(truth == name, people)]
        asked = np.isin(truth, usable) & (person > DISTRACTOR_ID)
        train, tested = (rows[asked[rows]] for rows in (people.train, people.tested))
        if len(usable) > 1:
            found.append(Question(str(attribute), people.labels.key, truth, person, train, tested))
    return found


def strongest_dims(features: Matrix, question: Question) -> int:
    """How many components recognize held-out training people best."""
    rows = question.train
    persons = np.unique(question.person[rows])

    def accuracy(dims: int) -> float:
        guesses = np.empty(len(rows), dtype=question.truth.dtype)
        for fold in range(FOLDS):
            out = np.isin(question.person[rows], persons[fold::FOLDS])
            classifier = GaussianClassifier(features[rows[~out]], question.truth[rows[~out]], dims)
            guesses[out] = classifier(features[rows[out]])
        truth, person = question.truth[rows], question.person[rows]
        return balanced_accuracy(truth, guesses, person, resamples=0).value

    return max(DIMS, key=accuracy)


def _questions(context: Context, people: People) -> list[Question]:
    dataset = context.crops.dataset
    perfect = dataset.perfect if isinstance(dataset, ImposedOutcomes) else dataset
    return questions_about(perfect.attributes(), people) if isinstance(perfect, AttributedDataset) else []


def _on_both_sides(shown: NDArray[np.bool_], people: People) -> bool:
    trained = np.unique(people.labels.person[people.train[shown[people.train]]])
    return len(trained) >= LEAST_PEOPLE and bool(shown[people.tested].any())


def _answer(
    key: str, question: Question, anonymized: list[Matrix], original: Matrix, results: Results
) -> None:
    """The metric and the images behind it, weighted so that their mean is the balanced accuracy."""
    rows = question.tested
    truth, person = question.truth[rows], question.person[rows]
    dims = strongest_dims(anonymized[0], question)
    guessed = [_guess(features, question, dims) for features in anonymized]
    together = balanced_accuracy(
        np.tile(truth, len(guessed)), np.concatenate(guessed), np.tile(person, len(guessed)),
        resamples=results.resamples,
    )  # fmt: skip
    single = [balanced_accuracy(truth, guess, person, resamples=0) for guess in guessed]
    ceiling = _guess(original, question, strongest_dims(original, question))
    classes, member, count = np.unique(truth, return_inverse=True, return_counts=True)
    weight = 100 * len(truth) / len(classes) / count[member]
    interval = together.interval
    results.metrics[key] = Metric(
        value=100 * together.value,
        unit="percent",
        direction="lower",
        n=len(truth),
        interval=(100 * interval.low, 100 * interval.high) if interval else None,
        seeds=tuple(100 * found.value for found in single),
        chance=100 * together.chance,
        ceiling=100 * balanced_accuracy(truth, ceiling, person, resamples=0).value,
    )
    names = question.key[rows].tolist()
    results.samples.append(long_form(names, key, [weight * found.correct for found in single], person))


def _guess(features: Matrix, question: Question, dims: int) -> Classes:
    classifier = GaussianClassifier(features[question.train], question.truth[question.train], dims)
    return np.asarray(classifier(features[question.tested]), dtype=np.str_)
