"""The embedded exchange of pipelines: started, shared, and stopped by the last one that needs it."""

import pytest
from sqlalchemy import update

from workbench.exchange import embedded
from workbench.orchestration.hosting import EXCHANGE_URL, embedded_exchange, exchange_folder
from workbench.orchestration.plan import Plan
from workbench.orchestration.run_store import RunStore
from workbench.store.engine import transaction
from workbench.store.tables.pipeline import PipelineRunRow, Status


@pytest.fixture
def plan(site):
    site.notebook("a", "1", parameters='as_of: str = "2015-06-30"\nsource: str = "synthetic"\nseed: int = 11')
    return Plan.of(site.pipeline("name: a, notebook: notebooks/a.ipynb", parameters="{as_of: 2015-06-30}"))


@pytest.fixture(autouse=True)
def nothing_is_left(workspace):
    yield
    if exchange_folder(workspace.home).exists():
        embedded.stop(exchange_folder(workspace.home))


def running(workspace):
    return embedded.running(exchange_folder(workspace.home), source="synthetic", seed=11)


def test_an_exchange_is_there_while_it_is_needed(workspace, plan):
    with embedded_exchange(workspace)(plan) as variables:
        assert embedded.health(variables[EXCHANGE_URL])["source"] == "synthetic"
        assert running(workspace).url == variables[EXCHANGE_URL]
    assert running(workspace) is None


def test_one_that_somebody_else_started_is_used_and_left(workspace, plan):
    theirs = embedded.ensure(exchange_folder(workspace.home), source="synthetic", seed=11)
    with embedded_exchange(workspace)(plan) as variables:
        assert variables[EXCHANGE_URL] == theirs.url
    assert running(workspace) is not None


def test_the_last_pipeline_that_needs_it_stops_it(workspace, plan, tmp_path):
    hosting, store = embedded_exchange(workspace), RunStore(workspace.engine)
    with hosting(plan):
        other = store.begin(plan, tmp_path)
        with transaction(workspace.engine) as session:
            session.execute(update(PipelineRunRow).values(holder="elsewhere:1:another:mark"))
    assert running(workspace) is not None  # another process runs a pipeline
    with transaction(workspace.engine) as session:
        session.execute(update(PipelineRunRow).values(status=Status.DONE.value))
    assert store.run(other.run_id).status == "DONE"
    with hosting(plan):
        pass
    assert running(workspace) is None  # though this one did not start it
