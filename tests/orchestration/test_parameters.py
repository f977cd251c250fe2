import pytest

from workbench.errors import ParameterError
from workbench.orchestration.parameters import NotebookParameters

CELL = """
from typing import Literal
symbols: list[str] = ["AAPL",
                      "ON"]  # the universe
start: str = "2013-01-02"  # first session
window: int = 50
fee: float = 0  # whole numbers are numbers
side: Literal["long", "short"] = "long"
deep: dict[str, float] = {}
limit: int | None = None
quick: bool = False
"""


@pytest.fixture
def asked(site):
    return NotebookParameters.of(site.notebook("asked", "1", parameters=CELL))


def test_names_defaults_and_descriptions_come_from_the_cell(asked):
    assert asked.names == ("symbols", "start", "window", "fee", "side", "deep", "limit", "quick")
    checked = asked.checked({})
    assert checked["symbols"] == ["AAPL", "ON"]
    assert checked["fee"] == 0.0
    assert checked["limit"] is None
    schema = asked.json_schema()["properties"]
    assert schema["symbols"]["description"] == "the universe"
    assert schema["start"]["description"] == "first session"
    assert schema["side"]["enum"] == ["long", "short"]
    assert schema["window"] == {"default": 50, "title": "Window", "type": "integer"}
    assert asked.code_cells == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", "notanint"),
        ("window", "7"),
        ("window", 7.5),
        ("window", True),
        ("symbols", "AAPL"),
        ("symbols", [1]),
        ("side", "shrt"),
        ("fee", float("nan")),
        ("quick", 1),
        ("deep", {"a": "b"}),
    ],
)
def test_a_wrong_type_is_refused_and_named(asked, name, value):
    assert name in asked.problems({name: value})
    with pytest.raises(ParameterError, match=name):
        asked.checked({name: value})


def test_a_misspelt_name_is_refused_with_the_right_one(asked):
    assert "did you mean 'window'?" in asked.problems({"windw": 3})["windw"]
    with pytest.raises(ParameterError, match="did you mean 'window'"):
        asked.from_text("windw", "3")


def test_all_problems_are_said_at_once(asked):
    with pytest.raises(ParameterError) as caught:
        asked.checked({"windw": 3, "fee": "x"})
    assert "windw" in caught.value.message
    assert "fee='x'" in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("symbols", "AAPL, MSFT", ["AAPL", "MSFT"]),
        ("symbols", '["AAPL"]', ["AAPL"]),
        ("symbols", "AAPL", ["AAPL"]),
        ("window", "20", 20),
        ("limit", "null", None),
        ("limit", "3", 3),
        ("fee", "1e-4", 1e-4),
        ("quick", "true", True),
        ("side", "short", "short"),
        ("start", "2015-01-02", "2015-01-02"),
        ("deep", '{"a": 1}', {"a": 1}),
    ],
)
def test_a_text_of_the_command_line_becomes_a_value_of_the_type(asked, name, text, value):
    got = asked.from_text(name, text)
    assert got == value
    assert type(got) is type(value)
    assert asked.problems({name: got}) == {}


@pytest.mark.parametrize(
    ("name", "text"), [("window", "notanint"), ("side", "up"), ("deep", "a=1"), ("quick", "maybe")]
)
def test_a_text_that_does_not_fit_stays_wrong(asked, name, text):
    assert name in asked.problems({name: asked.from_text(name, text)})


def test_a_value_without_default_must_be_given(site):
    asked = NotebookParameters.of(site.notebook("n", parameters="window: int"))
    assert "was not given" in asked.problems({})["window"]
    assert asked.checked({"window": 3}) == {"window": 3}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("window = 50", "no annotated assignment"),
        ("for i in range(3): pass", "no annotated assignment"),
        ("window: int = 5\nwindow: int = 6", "assigned twice"),
        ("window: int = 'x'", "should be a valid integer"),
        ("window: DataFrame = None", "DataFrame is not a type"),
        ("window: int = 2 * 25", "cannot be understood"),
        ("copy: int = 2", "cannot have"),
        ("window: int = ", "not Python"),
    ],
)
def test_a_cell_that_cannot_be_checked_is_refused(site, cell, said):
    with pytest.raises(ParameterError, match=said):
        NotebookParameters.of(site.notebook("n", parameters=cell))


def test_the_hash_follows_the_source_and_not_the_outputs(site):
    path = site.notebook("n", "1")
    before = NotebookParameters.of(path).source_hash
    path.write_text(path.read_text().replace('"outputs": []', '"outputs": [{"output_type": "stream"}]'))
    assert NotebookParameters.of(path).source_hash == before
    site.notebook("n", "2")
    assert NotebookParameters.of(path).source_hash != before


def test_what_is_no_python_notebook_is_refused(site):
    path = site.root / "notebooks" / "n.ipynb"
    path.write_text("{}")
    with pytest.raises(ParameterError, match="not a notebook"):
        NotebookParameters.of(path)
    site.notebook("n")
    path.write_text(
        path.read_text().replace(
            '"metadata": {}, "nbformat"', '"metadata": {"language_info": {"name": "R"}}, "nbformat"'
        )
    )
    with pytest.raises(ParameterError, match="written in R"):
        NotebookParameters.of(path)
