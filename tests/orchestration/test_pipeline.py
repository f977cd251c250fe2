from pathlib import Path

import pytest

from workbench.errors import PipelineInvalid
from workbench.orchestration.pipeline import Pipeline

GOOD = """\
name: tiny
description: two notebooks
parameters:
  as_of: 2015-06-30
steps:
  - name: late
    notebook: notebooks/b.ipynb
    needs: [early]
    outputs: [page]
  - name: early
    notebook: notebooks/a.ipynb
    timeout_s: 5
"""

ROOT = Path(__file__).parents[2]


@pytest.fixture
def two(site):
    site.notebook("a", "1")
    site.notebook("b", "1")
    return site


def refused(site, text):
    with pytest.raises(PipelineInvalid) as caught:
        Pipeline.load(site.yaml(text))
    return caught.value


def test_steps_come_in_the_order_of_their_needs(two):
    pipeline = Pipeline.load(two.yaml(GOOD))
    assert [step.name for step in pipeline.steps] == ["early", "late"]
    assert pipeline.steps[1].outputs == ("page",)
    assert pipeline.steps[0].timeout_s == 5
    assert pipeline.parameters == {"as_of": "2015-06-30"}  # a date stays text; only Study makes time of it


def test_steps_without_needs_stay_as_written(two):
    pipeline = two.pipeline(*(f"name: {name}, notebook: notebooks/a.ipynb" for name in "cab"))
    assert [step.name for step in pipeline.steps] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("change", "line", "field", "said"),
    [
        (("description:", "descripton:"), 2, "descripton", "did you mean 'description'?"),
        (("    needs:", "    need:"), 8, "steps[0].need", "did you mean 'needs'?"),
        (("notebooks/a.ipynb", "notebooks/aa.ipynb"), 11, "steps[1].notebook", "did you mean 'notebooks/a.ipynb'?"),
        (("name: early", "name: late"), 10, "steps[1].name", "duplicate step 'late'"),
        (("[early]", "[erly]"), 8, "steps[0].needs[0]", "did you mean 'early'?"),
        (("    timeout_s: 5", "    needs: [late]"), 8, "steps[0].needs", "late → early → late"),
        (("    timeout_s: 5", "    needs: [early]"), 12, "steps[1].needs", "early → early"),
        (("timeout_s: 5", "timeout_s: 0"), 12, "steps[1].timeout_s", "greater than 0"),
        (("timeout_s: 5", "timeout_s: soon"), 12, "steps[1].timeout_s", "valid number"),
        (("  as_of:", "  as_off:"), 4, "as_off", "did you mean 'as_of'?"),
        (("as_of: 2015-06-30", "as_of: 7"), 4, "parameters.as_of", "valid string"),
        (("timeout_s: 5", "parameters: {asof: x}"), 12, "steps[1].parameters.asof", "did you mean 'as_of'?"),
        (("description: two notebooks", "name: tiny"), 2, "name", "written twice"),
        (("name: tiny", "name: other"), 1, "name", "differs from the file's name"),
        (("name: tiny", "name: Tiny!"), 1, "name", "match pattern"),
        (("    notebook: notebooks/a.ipynb\n", ""), 10, "steps[1].notebook", "is missing"),
        (("steps:", "steps: []\nhosts:"), 5, "steps", "at least 1 item"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_field(two, change, line, field, said):
    error = refused(two, GOOD.replace(*change))
    assert any(
        row["line"] == line and field in row["field"] and said in row["said"] for row in error.facts["problems"]
    ), error.facts["problems"]
    assert f"tiny.yaml, line {line}, " in str(error)
    assert "nothing was run" in str(error)


def test_all_problems_are_listed_in_one_error(two):
    text = GOOD.replace("[early]", "[erly]").replace("b.ipynb", "c.ipynb").replace("as_of: 2015", "as_off: 2015")
    error = refused(two, text)
    assert [row["field"] for row in error.facts["problems"]] == [
        "parameters.as_off", "steps[0].notebook", "steps[0].needs[0]",
    ]  # fmt: skip
    assert "3 problems" in str(error)
    text = GOOD.replace("description", "descripton").replace("timeout_s: 5", "timeouts: 5\n    report: maybe")
    assert "3 problems" in str(refused(two, text))


def test_a_notebook_that_ignores_a_shared_parameter_is_refused(two):
    two.notebook("b", "1", parameters='until: str = "x"')
    error = refused(two, GOOD)
    assert "'as_of' is not a parameter of b.ipynb" in str(error)


def test_a_notebook_whose_cell_cannot_be_read_is_named(two):
    two.notebook("b", "1", parameters="as_of = 1")
    assert "steps[0].notebook: line 1 of the parameters cell of b.ipynb" in str(refused(two, GOOD))


def test_a_run_ends_with_one_page(two):
    text = GOOD.replace("outputs: [page]", "report: true").replace("timeout_s: 5", "report: true")
    assert "a second step with report: true" in str(refused(two, text))


@pytest.mark.parametrize("text", ["", "- a\n- b", "just words"])
def test_a_file_that_is_no_mapping_is_refused(two, text):
    assert "a pipeline is a mapping" in str(refused(two, text))


def test_what_is_not_yaml_is_refused_with_its_line(two):
    assert "line 2: not YAML" in str(refused(two, "name: tiny\nsteps: a: b\n"))
    with pytest.raises(PipelineInvalid, match="cannot be read"):
        Pipeline.load(two.root / "pipelines" / "absent.yaml")


def test_an_alias_inside_itself_ends(two):
    assert "nested too deeply" in str(refused(two, "name: tiny\nsteps: &a [*a]\n"))


def test_yaml_has_no_surprises(two):
    """In YAML 1.1, ON is true, 2013-01-02 a date, 1:30 ninety, 010 eight and 1e3 a text."""
    cell = "symbols: list[str] = []\nday: str = ''\nclock: str = ''\nbig: float = 0\nmany: int = 0\nno: str = 'x'"
    two.notebook("a", "1", parameters=cell)
    steps = "steps: [{name: a, notebook: notebooks/a.ipynb}]\n"
    values = "{symbols: [ON, NO, Y], day: 2013-01-02, clock: 1:30, big: 1e3, many: 100_000, no: 'null'}"
    pipeline = Pipeline.load(two.yaml(f"name: tiny\nparameters: {values}\n{steps}"))
    assert pipeline.parameters == {
        "symbols": ["ON", "NO", "Y"],
        "day": "2013-01-02",
        "clock": "1:30",
        "big": 1000.0,
        "many": 100_000,
        "no": "null",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_pipelines_of_the_project_are_valid(path):
    pipeline = Pipeline.load(path, root=ROOT)
    assert pipeline.name == path.stem
    assert pipeline.steps
