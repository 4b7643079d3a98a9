"""Methods' pages: what is written of each, its diagram, and what is put in from records."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry
from benchmark.reports import published
from benchmark.reports.documents import diagram, measured, method_pages, overview, sources
from benchmark.reports.page.tasks import TASKS
from benchmark.results import collection, records, samples
from benchmark.results.records import Record
from benchmark.speed import made

WRITTEN = method_pages.written()
METHODS = catalogue.methods()
ENTRIES = pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)


def prose(text: str) -> str:
    """What is written of a method, without its title, fences, code and marks."""
    return re.sub(r"^```.*?^```$|`[^`]*`|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL).partition("\n")[2]


def no_arrow_covers_a_box(layout: diagram.Layout) -> None:
    for edge in layout.edges:
        corners = diagram.path(layout, edge)
        others = [node for name, node in layout.nodes.items() if name not in (edge.start, edge.end)]
        for (x0, y0), (x1, y1) in pairwise(corners):
            for node in others:
                beside = max(x0, x1) <= node.x - node.width / 2 or min(x0, x1) >= node.x + node.width / 2
                above = max(y0, y1) <= node.y - node.height / 2 or min(y0, y1) >= node.y + node.height / 2
                assert beside or above, f"{edge} covers {node.text}"


def test_every_method_has_a_page_and_every_page_a_method() -> None:
    method_pages.check(WRITTEN)
    assert len({entry.folder for entry in METHODS.values()}) == len(METHODS) >= 45


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: None, r"UNet has no page: write docs/methods/unet.md"),
        (lambda text: text.replace("# U-Net", "# UNet", 1), r"unet.md lacks the title 'U-Net'"),
        (lambda text: text.replace("<!-- card: UNet -->", ""), r"unet.md lacks the mark <!-- card: UNet -->"),
        (lambda text: text.replace("results: UNet", "results: NAFNet"), r"lacks the mark <!-- results: UNet -->"),
        (lambda text: text + "more\n", r"lacks the mark <!-- results: UNet --> at its end"),
        (lambda text: re.sub(r"```.*?```", "", text, flags=re.DOTALL), r"lacks a diagram or an equation"),
        (lambda text: re.sub(r"```.*?```", "```\n```", text, flags=re.DOTALL), r"lacks a diagram or an equation"),
    ],
)
def test_a_page_that_lacks_a_part_is_told(change: object, said: str) -> None:
    texts = {**WRITTEN, "unet": change(WRITTEN["unet"])}  # type: ignore[operator]
    texts = {name: text for name, text in texts.items() if text is not None}
    with pytest.raises(UserError, match=said):
        method_pages.check(texts)


def test_a_page_without_a_method_is_told() -> None:
    with pytest.raises(UserError, match=r"docs/methods/gone.md: there is no methods/gone.py"):
        method_pages.check({**WRITTEN, "gone": WRITTEN["unet"]})


@ENTRIES
def test_what_is_written_says_its_idea_in_a_few_plain_sentences(entry: Entry) -> None:
    text = WRITTEN[entry.folder]
    idea = text.partition(f"<!-- card: {entry.name} -->\n\n")[2].partition("\n\n```")[0]
    assert 3 <= len(re.findall(r"[.!?](?=\s|$)", idea)) <= 6
    numbers = re.findall(r"(?<![A-Za-z0-9])\d\S*", prose(text))
    assert not numbers, f"numbers in prose that nothing checks: {numbers}"
    for kind, block in method_pages.blocks(text):
        assert kind in ("", "diagram")
        assert kind or max(map(len, block.splitlines())) <= 80, "an equation is wider than the page"


@ENTRIES
def test_diagrams_can_be_drawn_and_no_box_covers_another(entry: Entry) -> None:
    blocks = [block for kind, block in method_pages.blocks(WRITTEN[entry.folder]) if kind]
    if entry.card["supervision"] in ("paired", "unpaired"):
        assert blocks, "what is trained shows where pictures go and what teaches"
    for block in blocks:
        assert ">" in diagram.draw(block)
        layout = diagram.parse(block)
        diagram.place(layout)
        nodes = list(layout.nodes.values())
        for i, one in enumerate(nodes):
            assert one.x - one.width / 2 >= diagram.EDGE
            assert one.x + one.width / 2 <= layout.width - diagram.EDGE + 0.1
            assert one.y + one.height / 2 <= layout.height - diagram.EDGE + 0.1
            for other in nodes[i + 1 :]:
                across, down = abs(one.x - other.x), abs(one.y - other.y)
                assert across >= (one.width + other.width) / 2 or down >= (one.height + other.height) / 2
        no_arrow_covers_a_box(layout)
        assert layout.width <= 910, "at more than this its text is too small beside that of the page"


# Diagrams


def test_a_diagram_has_all_its_names_and_says_them() -> None:
    text = "a -> [net & co] -> b ~> (loss)\na -> [+]\nb -> [+]\n[+] ..> [net & co]\n"
    drawn = diagram.draw(text)
    assert re.findall(r"<text[^>]*>([^<]*)<", drawn) == ["a", "net &amp; co", "b", "loss", "+"]
    assert 'aria-label="a goes to net &amp; co; net &amp; co goes to b; b teaches loss; a goes to +;' in drawn
    assert "+ comes back to net &amp; co" in drawn
    assert [drawn.count(f'<path class="{kind}"') for kind in ("flow", "teach", "back")] == [4, 1, 1]
    assert drawn.count("<polygon") == 6


def test_nodes_stand_right_of_what_leads_to_them_and_truths_beside_their_loss() -> None:
    layout = diagram.parse("a -> [b] -> c ~> (loss)\na -> [d] -> [e] -> c\ntruth ~> (loss)\n")
    columns = {name: node.column for name, node in layout.nodes.items()}
    assert columns == {"a": 0, "[b]": 1, "[d]": 1, "[e]": 2, "c": 3, "(loss)": 4, "truth": 3}
    rows = {name: node.row for name, node in layout.nodes.items()}
    assert rows == {"a": 0, "[b]": 0, "c": 0, "(loss)": 0, "[d]": 1, "[e]": 1, "truth": 2}


def test_chains_share_a_row_where_there_is_room() -> None:
    layout = diagram.parse("a -> b -> c -> d -> e -> f\na -> [x]\ne -> [y]\n")
    assert (layout.nodes["[x]"].row, layout.nodes["[y]"].row) == (1, 1)


@pytest.mark.parametrize("over", ["a -> b -> c\na -> c", "a -> b -> c -> d\na -> c\na -> d\nb -> d"])
def test_an_arrow_past_a_box_runs_around_it(over: str) -> None:
    layout = diagram.parse(over)
    diagram.place(layout)
    no_arrow_covers_a_box(layout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a, b", r"'a, b' has no arrow: write a -> b"),
        ("a -> [] -> b", r"has a box without a name"),
        ("a -> b\nb -> a", r"go round in a circle at '[ab]': write \.\.>"),
    ],
)
def test_what_is_no_diagram_is_told(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        diagram.draw(text)


def test_only_fences_that_say_so_are_diagrams() -> None:
    text = "```\na -> b\n```\n\n```diagram\na -> b\n```\n"
    drawn = diagram.in_markdown(text)
    assert drawn.startswith("```\na -> b\n```\n\n<div")
    assert "```diagram" not in drawn


# What the file says


@ENTRIES
def test_options_and_defaults_are_those_of_the_constructor(entry: Entry) -> None:
    options = sources.read(entry).options
    signature = inspect.signature(entry.load().__init__)
    names = [("**" if one.kind is one.VAR_KEYWORD else "") + name for name, one in signature.parameters.items()]
    assert [one.name for one in options] == [name for name in names if name not in sources.GIVEN]
    for one in options:
        assert one.meaning, f"{entry.name} says nothing of {one.name}"
        if one.default and not re.search(r"[a-zA-Z_]{2,}\.|\*|/", one.default):
            assert ast.literal_eval(one.default) == signature.parameters[one.name].default


def test_a_docstring_is_taken_apart() -> None:
    parts = sources.sections(
        "One.\n\nTwo ``x``.\n\nArgs:\n    a: first\n        line.\n    b: < 2.\n\nSource: Some, Eq. 1;\n    more.\n"
    )
    assert parts[""] == "One.\n\nTwo ``x``."
    assert sources.arguments(parts["Args:"]) == {"a": "first line.", "b": "< 2."}
    assert sources.markdown(parts["Source:"]) == "Some, Eq. 1;\nmore."
    assert sources.markdown("``a < b``") == "`a &lt; b`"


@ENTRIES
def test_every_page_says_where_it_comes_from_and_what_was_reconstructed(entry: Entry) -> None:
    text = method_pages.results(entry, None, {}, []).text
    for heading in ("## What was measured", "## As it is here", "### What was reconstructed"):
        assert heading in text
    assert "``" not in text
    assert entry.card["paper"] == "trivial" or "*Source*: " in text
    table = text.partition("## Measured against published")[2]
    named = any(row.method == entry.name for one in published.tables().values() for row in one.rows)
    assert ("published |" in table) == named
    card = method_pages.card(entry)
    assert f"`--model {entry.name}`" in card
    assert str(entry.card["year"]) in card


def test_a_page_says_what_was_reconstructed_and_shows_the_papers_rows() -> None:
    text = method_pages.results(METHODS["DMGN"], overview.sizes()["DMGN"], {}, []).text
    guesses = text.partition("### What was reconstructed")[2].partition("## Measured")[0]
    assert "has a penalty on its slope" in guesses
    assert "| DMGN, published | 23.05 | 0.823 | 25.13 |" in text
    assert "| ERRNet" not in text
    assert "| `width` | `64` | channels at full resolution. |" in text
    assert f"has {overview.sizes()['DMGN']['parameters']:,} parameters, and" in text


def test_a_card_says_which_data_it_takes() -> None:
    assert "**Takes** any colours; any number of layers with or without an order, at any scale." in (
        method_pages.card(METHODS["UNet"])
    )
    assert "**Takes** grey pictures; 2 layers with or without an order, 2 times as large." in (
        method_pages.card(METHODS["LiGT"])
    )
    assert "**Takes** pictures in colour; 2 layers that have an order." in method_pages.card(METHODS["DMGN"])


# What was measured


def record(method: str, level: float, **changes: object) -> Record:
    path = {"unet": "methods.unet.UNet", "identity": "methods.identity.Identity"}[method]
    config = {**made.record().config, "model": {"class_path": path, "init_args": {}}}
    return made.record(method, 0, [[level] * 2] * 3, config=config, **changes)


def test_what_was_measured_of_a_task_is_what_its_records_say() -> None:
    found = [record(name, psnr) for name, psnr in {"unet": 25.0, "identity": 20.0}.items()]
    text = measured.of_task("Digits", {"quick": collection.lines(found)})
    assert "| [UNET](../methods/unet.md) | 25.00 | +5.00 | 0.500 |" in text
    assert "Nothing is published" in measured.of_task("Rain", {"quick": collection.lines(found)})
    strange = [dataclasses.replace(one, config=made.record().config) for one in found]
    assert "| UNET | 25.00 | +5.00 | 0.500 |" in measured.of_task("Digits", {"quick": collection.lines(strange)})


def published_folder(root: Path) -> list[collection.Found]:
    for name, psnr in {"unet": 25.0, "identity": 20.0}.items():
        one = record(name, psnr, variant="<best>" if name == "unet" else "")
        path = root / "quick/records/digits" / name / "seed0.json"
        records.write(path, one)
        where = samples.folder(path)
        where.mkdir(parents=True)
        files = {}
        for k, what in enumerate(("mixture", "truth-0", "truth-1", "estimate-0", "estimate-1")):
            shade = 40 * k if what.startswith("estimate") and name == "unet" else 9 * k
            Image.new("L", (8, 8), shade).save(where / f"0-{what}.png")
            files[what] = f"0-{what}.png"
        note = {"id": "000000", "layers": list(made.LAYERS), "files": files}
        if name == "identity":
            note |= {"id": "coffee", "from": "made-up pictures", "stands_for": one.key, "psnr": [1.0, 2.0]}
        write_json(where / "0.json", note)
    return collection.collect([root / "quick"])


def test_a_methods_page_has_its_rows_curves_and_pictures(tmp_path: Path) -> None:
    found = published_folder(tmp_path)
    suites = {"quick": collection.lines([one.record for one in found])}
    page = measured.of_method(METHODS["UNet"], suites, found)
    row = "| [Digits](../tasks/digits.md) | <best> | 25.00 | 20.00 | +5.00 | 0.500 | 12 | 640 |"
    assert row.replace("<best>", "&lt;best&gt;") in page.text
    assert "`leaderboards/quick/README.md`" in page.text
    assert '<polyline class="curve"' in page.text
    assert '<li class="c0"><i></i>&lt;best&gt;</li>' in page.text
    captions = re.findall(r"!\[([^\]]*)\]\(\.\./pictures/samples/\w+\.png\)", page.text)
    assert captions == [
        "mixture", "background, found, 25.0 dB", "background, truth", "reflection, found, 25.0 dB", "reflection, truth",
    ]  # fmt: skip
    assert len(page.pictures) == 5
    for place, path in page.pictures.items():
        assert f"](../{place})" in page.text
        assert path.is_file()
    estimate = samples.folder(tmp_path / "quick/records/digits/unet/seed0.json") / "0-estimate-0.png"
    assert estimate in page.pictures.values()
    identity = measured.of_method(METHODS["Identity"], suites, found)
    assert "this is one of embedded pictures (made-up pictures)" in identity.text
    assert "background, found, 1.0 dB" in identity.text
    nothing = measured.of_method(METHODS["PReNet"], suites, found)
    assert "Nothing of it is published yet" in nothing.text
    assert not nothing.pictures


def test_marks_are_replaced_and_nothing_else_is() -> None:
    of = {name: measured.Made(f"results of {name}") for name in METHODS}
    text = method_pages.filled(WRITTEN["unet"], of)
    assert "<!--" not in text
    assert text.endswith("\nresults of UNet\n")
    assert "- **Paper**: Ronneberger et al." in text
    assert method_pages.filled("<!-- measured: Rain -->", of) == "<!-- measured: Rain -->"


# All methods in one table


def test_the_table_of_all_methods_is_what_cards_suites_and_sizes_say() -> None:
    page, held = overview.PAGE.read_text(), read_json(overview.SIZES)
    again = "python -m benchmark.speed.networks.sizes --table"
    assert overview.text(page, held) == page, f"docs/methods/index.md is old: run `{again}`"
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) == len(METHODS)
    for entry in METHODS.values():
        assert sum(f"]({entry.folder}.md) |" in row for row in rows) == 1


def test_every_method_has_a_row_in_a_suite() -> None:
    held = overview.tasks_of_suites()
    titles = {task.title for task in TASKS}
    for name in METHODS:
        assert held[name]
        assert set(held[name]) <= titles
    assert held["DDN"] == ["Rain"]
