"""The tasks in the order in which the page shows them: photographs that are restored first, made-up layers last."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.plan import catalogue
from benchmark.results.records import Record


@dataclass(frozen=True)
class Task:
    """A task, for people.

    Attributes:
        folder: name of its file in ``datamodules``.
        title: of its part of the page.
        says: what goes in and what comes out, in one sentence.
    """

    folder: str
    title: str
    says: str


TASKS = (
    Task("reflection", "Reflection", "A photograph through glass becomes the scene behind it and the mirrored one."),
    Task("rain", "Rain", "A rainy photograph becomes the scene and the streaks before it."),
    Task("haze", "Haze", "A hazy photograph becomes the clear scene and the light that the haze scatters."),
    Task("clouds", "Clouds", "A satellite's picture becomes the ground and the clouds above it."),
    Task("intrinsic", "Albedo and shading", "A photograph becomes the colour of its surfaces and the light on them."),
    Task("superimposed", "Superimposed photographs", "A double exposure becomes the photographs that it was made of."),
    Task("shoes_handbags", "Shoes and handbags", "A blend of two products becomes a shoe and a handbag."),
    Task("digits", "Digits", "The sum of two handwritten digits becomes the two digits."),
    Task("shapes", "Shapes", "A sum of drawn shapes becomes one picture for each kind of shape."),
)
"""All that the project has, in the page's order; what is not here stands below them by its name."""


def of(record: Record) -> Task:
    """The task of a record's data; one of an outside class is called after it.

    Args:
        record: in question.
    """
    class_path = str(record.config["data"]["class_path"])
    try:
        folder = catalogue.dataset(class_path).folder
    except UserError:  # of another checkout, or of a module that is not here
        folder = class_path.split(".")[-2] if "." in class_path else class_path
    return next((task for task in TASKS if task.folder == folder), Task(folder, folder.replace("_", " "), ""))


def place(task: Task) -> tuple[int, str]:
    """What tasks are ordered by."""
    return (TASKS.index(task) if task in TASKS else len(TASKS)), task.folder
