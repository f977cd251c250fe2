import dataclasses
import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import func, select, text

from workbench import sessions
from workbench.arena.analysts import Role
from workbench.arena.analysts.rules import Bear, Bull, RiskAnalyst, rule_analysts
from workbench.arena.consensus import ArenaRules
from workbench.arena.decision import config_hash
from workbench.arena.decisions import (
    Action,
    Status,
    as_frame,
    decide,
    decide_all,
    expire,
    mark,
    pack,
    stored,
    transcript,
)
from workbench.arena.evidence import EvidencePack
from workbench.errors import ArenaError, NoData, ParameterError, StoreError
from workbench.store.engine import transaction
from workbench.store.tables.arena import AnalystViewRow, DecisionRow, EvidencePackRow
from workbench.store.tables.audit import AuditRow
from workbench.store.workspace import Workspace
from workbench.trace import tracing


def count(workspace, table):
    with transaction(workspace.engine) as session:
        return session.scalar(select(func.count()).select_from(table))


def test_a_decision_says_everything_and_survives_the_store(workspace, draw_view):
    view = draw_view()
    decision = decide("S00", view, workspace=workspace)
    assert not decision.reused
    assert decision.symbol == "S00"
    assert decision.as_of == view.as_of
    assert decision.action in {Action.BUY, Action.HOLD, Action.SELL}
    assert 0 < decision.p_up < 1
    assert decision.horizon == 21
    assert decision.expires == sessions.closes("XNYS", "2015-07-30")  # 21 sessions on, Independence Day observed
    assert decision.pack_hash == EvidencePack.of(view, "S00").hash
    assert decision.cost == Decimal(0)
    assert decision.label == "rules"
    assert decision.status is Status.PROPOSED
    assert [(said.round, said.analyst) for said in decision.views] == [
        (round_, name) for round_ in (0, 1) for name in ("bear", "bull", "risk")
    ]
    assert set(decision.evidence) <= EvidencePack.of(view, "S00").ids
    assert stored(workspace) == [dataclasses.replace(decision, reused=True)]
    assert pack(workspace, decision.pack_hash) == EvidencePack.of(view, "S00")


def test_asking_again_returns_the_stored_decision_without_a_debate(workspace, draw_view, scripted):
    analysts = [scripted("a", 0.6), scripted("b", 0.6)]
    first = decide_all(draw_view(), workspace=workspace, analysts=analysts)
    again = decide_all(draw_view(), workspace=workspace, analysts=analysts[::-1])
    assert [decision.reused for decision in first] == [False] * 6
    assert again == [dataclasses.replace(decision, reused=True) for decision in first]
    assert analysts[0].calls == 6
    assert (count(workspace, DecisionRow), count(workspace, EvidencePackRow)) == (6, 6)
    assert count(workspace, AnalystViewRow) == 6 * 2 * 2


def test_another_moment_configuration_horizon_or_evidence_is_another_decision(workspace, draw_view):
    view = draw_view(length=301)
    earlier = dataclasses.replace(
        view,
        as_of=sessions.closes("XNYS", view.bars.sessions[-2]),
        bars=view.bars.between(view.bars.sessions[0], view.bars.sessions[-2]),
    )
    questions = [
        {"view": view},
        {"view": earlier},
        {"view": view, "horizon": 5},
        {"view": view, "rules": ArenaRules(buy_at=0.56)},
        {"view": view, "analysts": [Bull(), Bear(), RiskAnalyst(reach=0.1)]},
        {"view": dataclasses.replace(view, label="real")},
    ]
    ids = {decide("S00", workspace=workspace, **question).id for question in questions}
    assert len(ids) == len(questions) == count(workspace, DecisionRow)
    assert len(stored(workspace, as_of=view.as_of)) == len(questions) - 1


def test_a_batch_asks_only_for_what_is_missing_and_keeps_the_order(workspace, draw_view):
    view = draw_view()
    one = decide("S03", view, workspace=workspace)
    batch = decide_all(view, workspace=workspace, symbols=["S05", "S03", "S05", "S00"])
    assert [decision.symbol for decision in batch] == ["S05", "S03", "S00"]
    assert [decision.reused for decision in batch] == [False, True, False]
    assert batch[1].id == one.id


def test_concurrent_writers_end_with_one_decision_each(workspace, draw_view, scripted):
    """Eight askers whose analysts even disagree; whoever wrote first is right for all of them."""
    view, askers = draw_view(), 8
    together = threading.Barrier(askers)

    class Late(scripted):
        config = {"same": "for all"}  # noqa: RUF012 - what the hash sees

        def view(self, pack):
            if pack.symbol == "S00":
                together.wait(timeout=120)  # nobody has written yet when all have looked
            return super().view(pack)

    def ask(number):
        analysts = [Late("a", 0.5 + number / 100), scripted("b", 0.6)]
        names = view.symbols if number % 2 else view.symbols[::-1]
        return {d.symbol: d for d in decide_all(view, workspace=workspace, symbols=names, analysts=analysts)}

    with ThreadPoolExecutor(askers) as pool:
        answers = list(pool.map(ask, range(askers)))
    kept = {decision.symbol: decision for decision in stored(workspace)}
    assert len(kept) == count(workspace, DecisionRow) == count(workspace, EvidencePackRow) == 6
    assert count(workspace, AnalystViewRow) == 6 * 2 * 2
    for answer in answers:
        assert {s: dataclasses.replace(d, reused=True) for s, d in answer.items()} == kept
    for symbol in view.symbols:
        assert sum(not answer[symbol].reused for answer in answers) == 1
    with transaction(workspace.engine) as session:
        proposed = session.scalars(select(AuditRow).where(AuditRow.action == "proposed")).all()
    assert sorted(row.entity_id for row in proposed) == sorted(decision.id for decision in kept.values())


def test_what_the_arena_cannot_know_is_stored_as_an_abstention(workspace, draw_view):
    decision = decide("S00", draw_view(length=30), workspace=workspace)
    assert (decision.action, decision.p_up, decision.confidence) == (Action.ABSTAIN, None, None)
    assert stored(workspace)[0].views == decision.views
    assert "0 voices were heard, 2 are needed" in decision.reasons[-1].text


def test_an_analyst_that_raises_ends_in_an_abstention_that_names_it(workspace, draw_view, scripted):
    broken = scripted("broken", ConnectionError("no route"))
    decision = decide("S00", draw_view(), workspace=workspace, analysts=[Bull(), broken, RiskAnalyst()])
    assert decision.action is Action.ABSTAIN
    assert any("ConnectionError: no route" in reason.text for reason in stored(workspace)[0].reasons)


def test_cost_and_label_are_kept(workspace, draw_view, scripted):
    analysts = [
        scripted("a", 0.6, cost=Decimal("0.000123"), kind="modelled"),
        scripted("b", 0.6),
        scripted("r", 0.6, role=Role.RISK),
    ]
    decide("S00", draw_view(), workspace=workspace, analysts=analysts)
    (kept,) = stored(workspace)
    assert kept.cost == Decimal("0.000246")
    assert kept.label == "modelled+rules"
    assert kept.views[0].cost == Decimal("0.000123")


def test_rows_carry_the_trace_and_the_audit_who_proposed(workspace, draw_view, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ACTOR", "tester")
    with tracing("5" * 32):
        decision = decide("S00", draw_view(), workspace=workspace)
    with transaction(workspace.engine) as session:
        assert session.scalars(select(DecisionRow.trace_id)).all() == ["5" * 32]
        assert session.scalars(select(EvidencePackRow.trace_id)).all() == ["5" * 32]
        (audit,) = session.scalars(select(AuditRow)).all()
    assert (audit.entity, audit.entity_id, audit.action) == ("decision", decision.id, "proposed")
    assert (audit.who, audit.trace_id) == ("tester", "5" * 32)
    assert audit.after == {"symbol": "S00", "action": str(decision.action), "p_up": decision.p_up}


@pytest.mark.parametrize("end", ["executed", "rejected", "expired"])
def test_a_status_goes_forward_once_and_is_audited(workspace, draw_view, end):
    decision = decide("S00", draw_view(), workspace=workspace)
    assert mark(workspace, decision.id, end, because="intent 7").status == end
    assert mark(workspace, decision.id, end).status == end  # the same again changes nothing
    for other in {*Status} - {Status(end)}:
        with pytest.raises(ArenaError, match=f"is {end} and cannot become {other}"):
            mark(workspace, decision.id, other)
    with transaction(workspace.engine) as session:
        (audit,) = session.scalars(select(AuditRow).where(AuditRow.action == end)).all()
        assert session.get(DecisionRow, decision.id).version == 2
    assert (audit.before, audit.after) == ({"status": "proposed"}, {"status": end, "because": "intent 7"})
    again = decide("S00", draw_view(), workspace=workspace)
    assert (again.reused, again.status) == (True, end)


def test_who_marks_second_sees_what_the_first_did(workspace, draw_view):
    decision = decide("S00", draw_view(), workspace=workspace)
    with ThreadPoolExecutor(1) as pool:
        with transaction(workspace.engine) as session:
            session.get(DecisionRow, decision.id).status = "executed"
            session.flush()
            second = pool.submit(mark, workspace, decision.id, "rejected")
            time.sleep(0.2)  # it waits for this transaction
            assert not second.done()
        with pytest.raises(ArenaError, match="is executed and cannot become rejected"):
            second.result(timeout=120)
    assert stored(workspace)[0].status == "executed"


def test_decisions_expire_when_their_horizon_is_over(workspace, draw_view):
    view = draw_view()
    short = decide("S00", view, workspace=workspace, horizon=1)
    long = decide("S00", view, workspace=workspace, horizon=10)
    done = decide("S01", view, workspace=workspace, horizon=1)
    mark(workspace, done.id, "executed")
    close = sessions.closes("XNYS", "2015-07-01")
    assert short.expires == close
    assert expire(workspace, close - pd.Timedelta(minutes=1)) == []
    assert [decision.id for decision in expire(workspace, close)] == [short.id]
    assert expire(workspace, close) == []
    assert {decision.id: decision.status for decision in stored(workspace)} == {
        short.id: "expired",
        long.id: "proposed",
        done.id: "executed",
    }
    with pytest.raises(ParameterError, match="timezone"):
        expire(workspace, pd.Timestamp("2015-07-01"))


def test_stored_decisions_can_be_asked_for(workspace, draw_view):
    decide_all(draw_view(), workspace=workspace)
    assert [decision.symbol for decision in stored(workspace, limit=2)] == ["S00", "S01"]
    assert [decision.symbol for decision in stored(workspace, symbols="S04")] == ["S04"]
    assert [decision.symbol for decision in stored(workspace, symbols=["S04", "S01"])] == ["S01", "S04"]
    assert stored(workspace, status="executed") == []
    assert stored(workspace, as_of=pd.Timestamp("2015-06-29T20:00Z")) == []


def test_wrong_questions_are_refused(workspace, draw_view):
    view = draw_view()
    with pytest.raises(NoData, match="TSLA"):
        decide("TSLA", view, workspace=workspace)
    with pytest.raises(ParameterError, match="horizon=0"):
        decide("S00", view, workspace=workspace, horizon=0)
    with pytest.raises(ArenaError, match="does not reach 9000 sessions"):
        decide("S00", view, workspace=workspace, horizon=9000)
    with pytest.raises(NoData, match="no decision"):
        mark(workspace, "0" * 32, "executed")
    with pytest.raises(ParameterError, match="status='done'"):
        mark(workspace, "0" * 32, "done")
    with pytest.raises(NoData, match="no evidence pack"):
        pack(workspace, "0" * 64)
    assert count(workspace, DecisionRow) == 0


def test_a_pack_that_was_changed_in_the_store_is_noticed(workspace, draw_view):
    decision = decide("S00", draw_view(), workspace=workspace)
    with workspace.engine.begin() as connection:
        body = text("UPDATE evidence_pack SET body = REPLACE(CAST(body AS TEXT), 'S05', 'S06')")
        if connection.dialect.name == "postgresql":
            body = text("UPDATE evidence_pack SET body = REPLACE(body::text, 'S05', 'S06')::json")
        connection.execute(body)
    with pytest.raises(StoreError, match="was changed after it was stored"):
        pack(workspace, decision.pack_hash)


def test_the_configuration_is_hashed_without_regard_to_order():
    analysts = rule_analysts()
    one = config_hash(analysts, ArenaRules(), horizon=21)
    assert one == config_hash(analysts[::-1], ArenaRules(), horizon=21)
    assert one != config_hash(analysts, ArenaRules(quorum=1), horizon=21)


def test_twenty_symbols_are_kept_in_one_go(workspace, draw_view):
    view = draw_view(symbols=20, length=500)
    decide("S00", view, workspace=workspace)
    decisions = decide_all(view, workspace=workspace)
    assert len(decisions) == count(workspace, DecisionRow) == 20


def test_the_frame_is_sorted_labelled_and_readable(workspace, draw_view):
    view = draw_view(symbols=12, seed=3)
    decisions = decide_all(view, workspace=workspace)
    frame = as_frame(decisions)
    assert sorted(frame.index) == sorted(view.symbols)
    assert set(frame["label"]) == {"rules"}
    order = frame["action"].map({"buy": 0, "hold": 1, "sell": 2, "abstain": 3})
    assert order.is_monotonic_increasing
    assert frame["p_up"].is_monotonic_decreasing
    assert ((frame[["bear", "bull"]] > 0) & (frame[["bear", "bull"]] < 1)).all(axis=None)
    assert frame["because"].str.contains("bull: ").all()
    assert as_frame(decisions[::-1]).equals(frame)
    empty = as_frame([])
    assert list(empty.columns[:3]) == ["action", "p_up", "confidence"]
    assert empty.empty


def test_the_frame_shows_an_abstention_as_not_known(workspace, draw_view):
    frame = as_frame(decide_all(draw_view(length=30, symbols=1), workspace=workspace))
    assert frame.loc["S00", "action"] == "abstain"
    assert frame[["p_up", "confidence", "bull", "bear", "risk"]].isna().all(axis=None)
    assert "0 voices" in frame.loc["S00", "because"]


def test_the_transcript_shows_who_said_what_on_which_evidence(workspace, draw_view, scripted):
    analysts = [*rule_analysts(), scripted("broken", ValueError("no")), scripted("wild", 0.5, again=0.9)]
    decision = decide("S00", draw_view(), workspace=workspace, analysts=analysts)
    said = transcript(decision)
    assert list(dict.fromkeys(said["round"])) == ["blind", "rebuttal", "consensus"]
    assert set(said["analyst"]) == {"bear", "broken", "bull", "consensus", "risk", "wild"}
    broken = said[said["analyst"] == "broken"]
    assert (broken["says"] == "abstains: failed with ValueError: no").all()
    assert broken["p_up"].isna().all()
    assert "was held to +0.030" in " ".join(said[said["analyst"] == "wild"]["says"])
    spoken = said[~said["analyst"].isin(["broken", "consensus"]) & ~said["says"].str.startswith("asked")]
    assert (spoken["evidence"] != "").all()
    assert said.iloc[-1]["p_up"] == decision.p_up
    assert stored(workspace) == [dataclasses.replace(decision, reused=True)]
    assert transcript(stored(workspace)[0]).equals(said)


def test_a_second_workspace_on_the_same_database_finds_the_decision(tmp_path, database_url, draw_view):
    one = Workspace.open(tmp_path / "one", database_url=database_url)
    two = Workspace.open(tmp_path / "two", database_url=database_url)
    first = decide("S00", draw_view(), workspace=one)
    assert decide("S00", draw_view(), workspace=two) == dataclasses.replace(first, reused=True)
    assert first.as_of.to_pydatetime() == dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
    one.close()
    two.close()
