"""How long it takes to ask whether a strategy peeks before a run is trusted, and to audit it.

.venv/bin/python -m pytest tests/benchmarks/test_audit.py --benchmark-only --benchmark-enable -p no:randomly
"""

import pytest

from tests.backtest.audit.planted import TomorrowsReturn
from workbench.backtest.audit.auditing import CHECKS, audit
from workbench.backtest.audit.future import require_causal
from workbench.backtest.weights import weights_of
from workbench.data import history
from workbench.data.sources.bundled import STOCKS
from workbench.errors import WeightsRefused
from workbench.store.workspace import Workspace
from workbench.strategies import build
from workbench.study import Study

STUDY = Study.of(list(STOCKS), start="2013-01-02", as_of="2022-06-30")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    history.collect(STUDY, workspace=workspace)
    yield history.load(STUDY, workspace=workspace)
    workspace.close()


@pytest.mark.parametrize("name", ["sma_cross", "momentum", "rules"])
def test_require_causal_beside_a_run_whose_weights_are_known(benchmark, loaded, name):
    strategy = build(name)
    weights = weights_of(strategy, loaded)
    benchmark.pedantic(lambda: require_causal(strategy, loaded, weights=weights), rounds=10, warmup_rounds=1)
    with pytest.raises(WeightsRefused, match="peeks"):
        require_causal(TomorrowsReturn(), loaded)


@pytest.mark.parametrize("name", ["sma_cross", "momentum", "rules"])
def test_a_whole_audit_of_the_default_study(benchmark, loaded, tmp_path_factory, name):
    def ask():
        workspace = Workspace.open(tmp_path_factory.mktemp("home"))
        answer = audit(build(name), loaded, workspace=workspace)
        workspace.close()
        return answer

    answer = benchmark.pedantic(ask, rounds=2, warmup_rounds=1)
    assert answer.table("checks")["check"].tolist() == list(CHECKS)
    assert not answer.table("future")["changed"].any()
