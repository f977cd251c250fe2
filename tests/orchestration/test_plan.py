import pytest

from workbench.errors import ParameterError, PipelineError, StudyError
from workbench.orchestration.plan import Plan

STUDY = 'symbols: list[str] = ["AAPL"]\nstart: str = "2013-01-02"\nas_of: str = "2015-06-30"\nseed: int = 7'


@pytest.fixture
def pipeline(site):
    site.notebook("a", "1", parameters=STUDY)
    site.notebook("b", "1", parameters=STUDY + "\ntop: int = 5")
    return site.pipeline(
        "name: a, notebook: notebooks/a.ipynb",
        "name: b, notebook: notebooks/b.ipynb, needs: [a], parameters: {top: 3}",
        parameters="{as_of: 2015-06-30, seed: 1}",
    )


def test_every_parameter_in_force_is_in_the_plan(pipeline):
    plan = Plan.of(pipeline)
    assert plan.session == "2015-06-30"
    assert plan.steps[0].parameters == {"symbols": ["AAPL"], "start": "2013-01-02", "as_of": "2015-06-30", "seed": 1}
    assert plan.steps[1].parameters["top"] == 3


def test_this_runs_values_win_and_reach_who_knows_them(pipeline):
    plan = Plan.of(pipeline, as_of="2015-07-01", texts={"top": "9", "b.seed": "4", "symbols": "KO,PEP"})
    assert plan.session == "2015-07-01"
    assert plan.steps[0].parameters == {
        "symbols": ["KO", "PEP"], "start": "2013-01-02", "as_of": "2015-07-01", "seed": 1,
    }  # fmt: skip
    assert plan.steps[1].parameters["top"] == 9
    assert plan.steps[1].parameters["seed"] == 4


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"sed": "3"}, "did you mean 'seed'"),
        ({"a.top": "3"}, "'top' is not a parameter of step 'a'"),
        ({"c.top": "3"}, "no step 'c'"),
        ({"seed": "x"}, "seed='x' does not fit a.ipynb"),
        ({"top": "1.5"}, "top='1.5' does not fit b.ipynb"),
    ],
)
def test_a_wrong_override_is_refused(pipeline, texts, said):
    with pytest.raises(ParameterError, match=said):
        Plan.of(pipeline, texts=texts)


def test_the_programs_own_values_are_taken_strictly(pipeline):
    with pytest.raises(ParameterError, match="symbols='AAPL' does not fit"):
        Plan.of(pipeline, parameters={"symbols": "AAPL"})


@pytest.mark.parametrize(
    ("as_of", "session"),
    [("2015-06-30", "2015-06-30"), ("2015-06-30T20:00Z", "2015-06-30"), ("2015-06-30T19:00Z", "2015-06-29")],
)
def test_the_session_is_the_one_complete_at_as_of(pipeline, as_of, session):
    assert Plan.of(pipeline, as_of=as_of).session == session


@pytest.mark.parametrize("as_of", ["2015-07-04", "never", "2015-06-30 12:00", "NaT"])
def test_what_is_no_session_is_refused(pipeline, as_of):
    with pytest.raises(StudyError):
        Plan.of(pipeline, as_of=as_of)


def test_a_question_that_cannot_be_asked_is_refused_before_anything_runs(pipeline):
    with pytest.raises(StudyError, match="start=2016"):
        Plan.of(pipeline, texts={"start": "2016-01-04"})


def test_without_as_of_there_is_no_run(site):
    site.notebook("a", "1")
    with pytest.raises(PipelineError, match="no as_of"):
        Plan.of(site.pipeline("name: a, notebook: notebooks/a.ipynb"))


def test_hashes_follow_what_determines_the_answer(site, pipeline):
    first = Plan.of(pipeline)
    assert Plan.of(pipeline).config_hash == first.config_hash
    other = Plan.of(pipeline, parameters={"b.top": 4})
    assert other.config_hash != first.config_hash
    assert other.steps[0].key == first.steps[0].key
    assert other.steps[1].key != first.steps[1].key
    upstream = Plan.of(pipeline, parameters={"a.seed": 9})
    assert upstream.steps[1].parameters == first.steps[1].parameters
    assert upstream.steps[1].key != first.steps[1].key  # what it stands on has changed
    site.notebook("b", "2", parameters=STUDY + "\ntop: int = 5")
    edited = Plan.of(type(pipeline).load(pipeline.path))
    assert edited.steps[0].key == first.steps[0].key
    assert edited.steps[1].key != first.steps[1].key
