"""From a name on the command line to a page: texts become parameters, the study becomes a history."""

from __future__ import annotations

import pytest

from tests.properties.future import random_history
from workbench.errors import ParameterError
from workbench.orchestration.audits import audit_strategy

HISTORY = random_history(seed=1, length=420)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_an_audit_by_name_writes_its_page_once_for_one_question(workspace):
    asked = []

    def load(study):
        asked.append(study)
        return HISTORY

    params = {"fast": "5", "slow": 20}
    run, page = audit_strategy("sma_cross", params, HISTORY.study, workspace, load)
    assert (run.kind, run.title, asked) == ("audit", "sma_cross(fast=5, slow=20)", [HISTORY.study])
    assert page.parent == workspace.home / "reports"
    assert "Audit of sma_cross(fast=5, slow=20)" in page.read_text(encoding="utf-8")
    again, same = audit_strategy("sma_cross", params, HISTORY.study, workspace, load)
    assert (again.reused, same) == (True, page)


@pytest.mark.parametrize(
    ("name", "params"), [("sma_crss", {}), ("sma_cross", {"fst": "3"}), ("sma_cross", {"fast": "x"})]
)
def test_what_is_misspelt_is_refused_before_anything_is_loaded(workspace, name, params):
    def load(_study):
        raise AssertionError("nothing may be loaded")

    with pytest.raises(ParameterError):
        audit_strategy(name, params, HISTORY.study, workspace, load)
    assert not (workspace.home / "reports").exists()
