"""Rotation: who enters and leaves by rule, with what was known then, written once and never rewritten."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from workbench import sessions
from workbench.data import history, rotation, universe
from workbench.data.ranking import by_rank
from workbench.data.rotation import preview, rotate, rotation_sessions, rotations, rule, rule_of, set_rule
from workbench.errors import DataError, NoData, NotYetKnown, ParameterError, StudyError
from workbench.features import feature
from workbench.market.bars import Bars
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.workspace import Workspace
from workbench.study import Study

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POOL = ("AAA", "BBB", "CCC", "DDD", "EEE")
DAYS = sessions.sessions("XNYS", "2014-01-02", "2015-12-31")


def at(text):
    return pd.Timestamp(text, tz="UTC")


def close_of(day):
    return sessions.closes("XNYS", day)


def traded(volumes, *, prices=None):
    """A loader of bars whose volume of each symbol is what `volumes(session)` says: a market that is the same twice."""

    def loader(symbols, moment, count):
        index = DAYS[: DAYS.searchsorted(sessions.session_of("XNYS", moment), side="right")][-count:]
        close = pd.DataFrame({name: (prices or {}).get(name, 10.0) for name in symbols}, index=index, dtype=float)
        volume = pd.DataFrame([volumes(day) for day in index], index=index).reindex(columns=list(symbols))
        return Bars(close=close.where(volume.notna()), volume=volume.astype(float))

    return loader


def steady(**volumes):
    return traded(lambda _day: volumes)


FIRST = steady(AAA=500, BBB=400, CCC=300, DDD=200, EEE=100)
CLOSE_CALL = steady(AAA=500, BBB=390, CCC=395, DDD=200, EEE=100)
CHANGED = steady(AAA=50, BBB=400, CCC=300, DDD=900, EEE=100)


def liquid(workspace, **changed):
    chosen = rule("liquidity", **{"top": 2, "buffer": 1, "window": 5, "pool": list(POOL), **changed})
    set_rule(workspace, "liquid", chosen, reason="the most traded")
    return chosen


def audited(workspace):
    with transaction(workspace.engine) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.entity == "universe").order_by(AuditRow.happened)).all()
    return [(row.action, row.after) for row in rows]


class TestRules:
    def test_a_rule_is_stored_data_and_each_version_is_kept(self, workspace):
        chosen = liquid(workspace)
        assert rule_of(workspace, "liquid") == chosen
        assert set_rule(workspace, "liquid", chosen, reason="again") == 1
        assert set_rule(workspace, "liquid", rule("manual"), reason="by hand now") == 2
        assert rule_of(workspace, "liquid").line == "manual(every=month, venue=XNYS)"
        assert chosen.line == (
            "liquidity(every=month, venue=XNYS, top=2, buffer=1, pool=AAA BBB CCC DDD EEE, source=bundled, seed=7, "
            "stale=5, window=5)"
        )
        assert "pool=9 symbols" in rule("liquidity", top=2, pool=list("ABCDEFGHI")).line
        actions = audited(workspace)
        assert [action for action, _ in actions] == ["rule", "rule"]
        assert actions[1][1]["kind"] == "manual"

    def test_a_universe_without_a_rule_is_manual_and_rotating_it_moves_nobody(self, workspace):
        universe.define(workspace, "mine", ["AAA", "BBB"], entered="2014-01-02", reason="mine")
        done = rotate(workspace, "mine", as_of="2015-06-30")
        assert (done.entered, done.left) == ((), ())
        assert done.table["change"].tolist() == ["stays", "stays"]
        assert universe.members(workspace, "mine", at("2015-07-01")) == ("AAA", "BBB")

    @pytest.mark.parametrize(
        ("kind", "params", "says"),
        [
            ("liquidty", {}, "did you mean 'liquidity'"),
            ("liquidity", {"top": 5, "pol": "us"}, "no parameter 'pol'"),
            ("liquidity", {"top": 5}, "pool is missing"),
            ("liquidity", {"top": 0, "pool": ["A"]}, "top=0: Input should be greater than or equal to 1"),
            ("liquidity", {"top": 2.5, "pool": ["A"]}, "top=2.5"),
            ("liquidity", {"top": 2, "pool": ["A"], "buffer": -1}, "buffer=-1"),
            ("liquidity", {"top": 2, "pool": ["A"], "window": 9_999}, "window=9999"),
            ("liquidity", {"top": 2, "pool": []}, "pool="),
            ("momentum", {"top": 2, "pool": ["A"], "feature": "momentun"}, "did you mean 'momentum'"),
            ("momentum", {"top": 2, "pool": ["A"], "every": "fortnight"}, "every='fortnight'"),
            ("index_membership", {"index": ""}, "index=''"),
            ("manual", {"top": object()}, "no parameter 'top'"),
        ],
    )
    def test_wrong_parameters_are_refused_with_advice(self, kind, params, says):
        with pytest.raises(ParameterError) as caught:
            rule(kind, **params)
        assert says in str(caught.value)

    @SQLITE
    def test_a_rule_names_only_universes_that_are_there(self, workspace):
        with pytest.raises(NoData, match="no universe 'us'"):
            set_rule(workspace, "liquid", rule("liquidity", top=2, pool="us"), reason="")
        universe.define(workspace, "us", "AAA", entered="2014-01-02", reason="")
        with pytest.raises(DataError, match="cannot choose from 'us' itself"):
            set_rule(workspace, "us", rule("liquidity", top=2, pool="us"), reason="")
        with pytest.raises(NoData, match="did you mean 'us'"):
            rotate(workspace, "uss", as_of="2015-06-30")

    @pytest.mark.parametrize(
        ("every", "expected"),
        [
            ("month", ["2015-01-02", "2015-02-02", "2015-03-02"]),
            ("quarter", ["2015-01-02"]),
            ("week", ["2015-02-17", "2015-02-23", "2015-03-02"]),
        ],
    )
    def test_the_sessions_of_a_schedule_are_the_first_of_each_period(self, every, expected):
        chosen = rule("liquidity", top=1, pool=["A"], every=every)
        start = "2015-01-01" if every != "week" else "2015-02-11"  # within a week that began before
        found = rotation_sessions(chosen, start, "2015-03-05")
        assert [day.date().isoformat() for day in found] == expected
        # 2015-02-16 is a holiday: the week begins on Tuesday
        assert len(rotation_sessions(rule("manual"), "2015-01-01", "2016-01-01")) == 0
        daily = rule("index_membership", index="x", every="session")
        assert len(rotation_sessions(daily, "2015-01-01", "2015-01-09")) == 6


class TestByRank:
    def test_a_buffer_keeps_members_at_the_edge(self, workspace):
        liquid(workspace)
        assert rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST).entered == ("AAA", "BBB")
        close = rotate(workspace, "liquid", as_of="2015-07-01", bars=CLOSE_CALL)
        assert (close.entered, close.left) == ((), ())
        assert close.table.loc["BBB", ["rank", "change"]].tolist() == [3, "stays"]
        assert close.table.loc["CCC", "why"] == "rank 2 of 5 by dollar_volume(5) = 3950; 2 are in"
        far = rotate(workspace, "liquid", as_of="2015-08-03", bars=CHANGED)
        assert (far.entered, far.left) == (("DDD",), ("AAA",))
        stays = universe.history(workspace, "liquid").set_index("symbol")
        assert stays.loc["AAA", "reason"] == "rank 1 of 5 by dollar_volume(5) = 5000"
        assert stays.loc["AAA", "left_reason"] == "rank 5 of 5 by dollar_volume(5) = 500; members stay up to 3"
        assert stays.loc["AAA", "left"] == close_of("2015-08-03")
        assert universe.members(workspace, "liquid", close_of("2015-07-31")) == ("AAA", "BBB")
        assert universe.members(workspace, "liquid", close_of("2015-08-03")) == ("BBB", "DDD")

    @SQLITE
    def test_without_a_buffer_the_edge_flaps(self, workspace):
        liquid(workspace, buffer=0)
        rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST)
        done = rotate(workspace, "liquid", as_of="2015-07-01", bars=CLOSE_CALL)
        assert (done.entered, done.left) == (("CCC",), ("BBB",))

    @SQLITE
    def test_who_is_not_known_leaves_with_that_reason(self, workspace):
        liquid(workspace, stale=3, pool=list(POOL[:4]))
        universe.define(workspace, "liquid", ["EEE"], entered="2014-01-02", reason="by hand")

        def volumes(day):
            return {"AAA": 500 if day < pd.Timestamp("2015-06-24") else np.nan, "BBB": 400, "CCC": 300, "DDD": np.nan}

        rotate(workspace, "liquid", as_of="2015-06-01", bars=traded(volumes))
        done = rotate(workspace, "liquid", as_of="2015-06-30", bars=traded(volumes))
        assert done.left == ("AAA",)
        assert done.table.loc["AAA", "why"].endswith("is not known, or the newest bar is more than 3 sessions old")
        assert done.table.loc["DDD", "change"] == "out"
        stays = universe.history(workspace, "liquid").set_index("symbol")
        assert stays.loc["EEE", "left_reason"] == "not in the pool"

    @SQLITE
    def test_momentum_ranks_by_any_feature_of_the_registry(self, workspace):
        def loader(symbols, moment, count):
            index = DAYS[: DAYS.searchsorted(sessions.session_of("XNYS", moment), side="right")][-count:]
            growth = np.outer(np.arange(len(index)), [0.001 * (1 + place) for place in range(len(symbols))])
            return Bars(close=pd.DataFrame(100 * np.exp(growth), index=index, columns=list(symbols)))

        chosen = rule("momentum", top=2, pool=list(POOL))
        set_rule(workspace, "strong", chosen, reason="")
        assert (str(chosen.by), chosen.by) == ("momentum_12_1", feature("momentum_12_1"))
        done = rotate(workspace, "strong", as_of="2015-06-01", bars=loader)
        assert done.entered == ("DDD", "EEE")
        assert done.table.loc["EEE", "value"] == pytest.approx(np.exp(0.005 * 231) - 1)
        shorter = rule("momentum", top=1, pool=list(POOL), feature="worst_drawdown(20)")
        table = preview(workspace, "strong", as_of="2015-06-02", chosen=shorter, bars=loader)
        assert table["value"].tolist() == [0.0] * 5
        assert table.index[0] == "AAA"  # equal values: in alphabetical order

    @SQLITE
    def test_the_pool_is_that_of_the_moment(self, workspace):
        universe.define(workspace, "us", ["AAA", "BBB"], entered="2014-01-02", reason="")
        universe.define(workspace, "us", "DDD", entered="2014-01-02", learned="2015-07-15", reason="found late")
        liquid(workspace, pool="us", top=1, buffer=0)
        busy = steady(AAA=1, BBB=2, DDD=9)
        assert rotate(workspace, "liquid", as_of="2015-07-01", bars=busy).entered == ("BBB",)
        assert rotate(workspace, "liquid", as_of="2015-08-03", bars=busy).entered == ("DDD",)


class TestClocks:
    def test_the_same_moment_twice_writes_nothing(self, workspace):
        liquid(workspace)
        first = rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST)
        said, seen = universe.said(workspace, "liquid"), audited(workspace)
        again = rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST)
        assert (first.written, again.written) == (True, False)
        assert again.entered == again.left == ()
        pd.testing.assert_frame_equal(again.table, first.table)
        pd.testing.assert_frame_equal(universe.said(workspace, "liquid"), said)
        assert audited(workspace) == seen
        assert [action for action, _ in seen] == ["rule", "rotate"]
        assert seen[1][1]["entered"]["AAA"] == "rank 1 of 5 by dollar_volume(5) = 5000"
        assert len(rotations(workspace, "liquid")) == 1

    def test_what_was_rotated_is_confirmed_but_not_rewritten(self, workspace):
        liquid(workspace)
        rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST)
        rotate(workspace, "liquid", as_of="2015-08-03", bars=CHANGED)
        assert not rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST).written
        assert not rotate(workspace, "liquid", as_of="2015-07-01", bars=FIRST).written
        before = universe.said(workspace, "liquid")
        for moment in ("2015-05-01", "2015-06-01", "2015-07-01"):
            with pytest.raises(DataError, match="rewrites the past; nothing was written"):
                rotate(workspace, "liquid", as_of=moment, bars=CHANGED)
        pd.testing.assert_frame_equal(universe.said(workspace, "liquid"), before)
        assert rotations(workspace, "liquid")["entered"].tolist() == [("AAA", "BBB"), ("DDD",)]

    def test_a_rotation_that_runs_late_is_not_seen_before_it_ran(self, workspace):
        liquid(workspace)
        rotate(workspace, "liquid", as_of="2015-06-03", effective="2015-06-01", bars=FIRST)
        assert universe.members(workspace, "liquid", at("2015-06-02")) == ()
        assert universe.members(workspace, "liquid", close_of("2015-06-03")) == ("AAA", "BBB")
        assert universe.history(workspace, "liquid")["entered"].tolist() == [at("2015-06-01")] * 2
        with pytest.raises(DataError, match="lies before 2015-06-01"):
            rotate(workspace, "liquid", as_of="2015-07-01", effective="2015-05-01", bars=CHANGED)

    @SQLITE
    def test_a_rotation_may_be_announced(self, workspace):
        liquid(workspace)
        rotate(workspace, "liquid", as_of="2015-06-01", effective="2015-06-15", bars=FIRST)
        assert universe.members(workspace, "liquid", at("2015-06-14")) == ()
        assert universe.members(workspace, "liquid", at("2015-06-15")) == ("AAA", "BBB")

    @SQLITE
    def test_the_future_is_refused_and_the_clock_on_the_wall_is_kept(self, workspace):
        liquid(workspace)
        with pytest.raises(NotYetKnown, match="lies in the future"):
            rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST, clock=lambda: at("2015-05-31"))
        with pytest.raises(StudyError, match="no timezone"):
            rotate(workspace, "liquid", as_of="2015-06-01 12:00", bars=FIRST)
        rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST, clock=lambda: at("2016-02-03"))
        row = rotations(workspace, "liquid").iloc[0]
        assert (row["as_of"], row["ran_at"], row["ranked"]) == (close_of("2015-06-01"), at("2016-02-03"), 5)

    def test_a_preview_writes_nothing(self, workspace):
        liquid(workspace)
        table = preview(workspace, "liquid", as_of="2015-06-01", bars=FIRST)
        assert table["change"].tolist() == ["enters", "enters", "out", "out", "out"]
        assert table["rank"].tolist() == [1, 2, 3, 4, 5]
        assert list(table.columns) == ["rank", "value", "member", "change", "why"]
        assert universe.members(workspace, "liquid", at("2016-01-01")) == ()
        assert rotations(workspace, "liquid").empty
        pd.testing.assert_frame_equal(rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST).table, table)

    @SQLITE
    def test_filled_in_session_by_session_it_is_the_same_as_run_each_day(self, workspace):
        rng = np.random.default_rng(4)
        drawn = {day: dict(zip(POOL, rng.integers(1, 1_000, 5).tolist(), strict=True)) for day in DAYS}
        chosen = liquid(workspace, window=21)
        days = rotation_sessions(chosen, "2015-01-01", "2015-12-31")
        seen = {}
        for day in days:
            rotate(workspace, "liquid", as_of=day, bars=traded(drawn.get))
            seen[day] = universe.members(workspace, "liquid", close_of(day))
        # What was visible on the day is visible on that day for ever.
        assert [universe.members(workspace, "liquid", close_of(day)) for day in days] == list(seen.values())
        assert {len(inside) for inside in seen.values()} == {2}
        assert len(set(seen.values())) > 2


class TestIndexMembership:
    def test_it_follows_the_list_as_it_was_known(self, workspace):
        rows = pd.DataFrame(
            [
                ("OLD", "enter", "2010-01-04", "2010-01-04"),
                ("KEPT", "enter", "2010-01-04", "2010-01-04"),
                ("OLD", "leave", "2015-06-22", "2015-07-10"),
                ("NEW", "enter", "2015-06-22", "2015-07-10"),
            ],
            columns=["symbol", "action", "happened", "learned"],
        )
        universe.supply(workspace, "index", rows, reason="press")
        set_rule(workspace, "mine", rule("index_membership", index="index"), reason="")
        rotate(workspace, "mine", as_of="2015-06-01")
        assert not len(rotate(workspace, "mine", as_of="2015-07-01").left)  # not known yet
        done = rotate(workspace, "mine", as_of="2015-08-03")
        assert (done.entered, done.left) == (("NEW",), ("OLD",))
        assert done.table.loc["NEW", "why"] == "in 'index' since 2015-06-22, known since 2015-07-10"
        assert universe.members(workspace, "mine", close_of("2015-07-31")) == ("KEPT", "OLD")
        assert universe.members(workspace, "mine", close_of("2015-08-03")) == ("KEPT", "NEW")


@SQLITE
class TestStoredBars:
    SYMBOLS = ("SYN01", "SYN02", "SYN03", "SYN04", "SYN05")

    def _collect(self, workspace, symbols):
        study = Study.of(symbols, start="2013-06-03", as_of="2015-06-30", source="synthetic", seed=3)
        history.collect(study, workspace=workspace, warm_up=0)

    def test_they_are_read_as_known_then(self, workspace):
        self._collect(workspace, self.SYMBOLS)
        chosen = rule("liquidity", top=2, window=21, pool=list(self.SYMBOLS), source="synthetic", seed=3)
        set_rule(workspace, "liquid", chosen, reason="")
        done = rotate(workspace, "liquid", as_of="2015-03-02")
        study = Study.of(self.SYMBOLS, start="2014-06-02", as_of="2015-03-02", source="synthetic", seed=3)
        bars = history.load(study, workspace=workspace, warm_up=0).bars
        expected = (bars.close * bars.volume).iloc[-21:].median().sort_values(ascending=False)
        assert done.entered == tuple(sorted(expected.index[:2]))
        assert done.table["value"].tolist() == pytest.approx(expected.tolist())
        strong = rule("momentum", top=2, pool=list(self.SYMBOLS), source="synthetic", seed=3)
        table = preview(workspace, "liquid", as_of="2015-03-02", chosen=strong)
        growth = (
            bars.close.iloc[-22]
            / history.load(
                Study.of(self.SYMBOLS, start="2013-06-03", as_of="2015-03-02", source="synthetic", seed=3),
                workspace=workspace,
                warm_up=0,
            ).close.iloc[-253]
            - 1
        )
        assert table["value"].to_dict() == pytest.approx(growth.to_dict())

    def test_a_candidate_that_was_not_collected_is_an_error_and_nobody_moves(self, workspace):
        self._collect(workspace, self.SYMBOLS[:-1])
        chosen = rule("liquidity", top=2, window=21, pool=list(self.SYMBOLS), source="synthetic", seed=3)
        set_rule(workspace, "liquid", chosen, reason="")
        with pytest.raises(NoData, match="bars of SYN05 were not collected"):
            rotate(workspace, "liquid", as_of="2015-03-02")
        assert rotations(workspace, "liquid").empty


values = st.dictionaries(st.sampled_from([f"S{n}" for n in range(12)]), st.integers(0, 6).map(float), max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    values=values,
    incumbents=st.sets(st.sampled_from([f"S{n}" for n in range(14)]), max_size=8),
    top=st.integers(1, 6),
    buffer=st.integers(0, 4),
)
def test_ranking_fills_its_places_keeps_who_is_near_and_repeats_itself(values, incumbents, top, buffer):
    def decide(members):
        table = by_rank(values, incumbents=members, top=top, buffer=buffer, by="x", stale=0)
        return table, set(table.index[table["change"].isin(["enters", "stays"])])

    table, inside = decide(incumbents)
    assert len(inside) == min(top, len(values))
    ranks = table["rank"].dropna()
    assert sorted(ranks) == list(range(1, len(values) + 1))
    assert all(ranks[symbol] <= top for symbol in inside - incumbents)
    assert all(ranks[symbol] <= top + buffer for symbol in inside)
    kept_out = set(ranks.index[ranks <= top]) - inside
    assert not kept_out & incumbents or len(inside & incumbents) == top
    assert decide(inside)[1] == inside
    assert set(table.index) == set(values) | incumbents


def test_the_verbs_are_in_one_place():
    assert set(rotation.__all__) >= {"preview", "rotate", "rotation_sessions", "rule", "set_rule"}


def test_two_that_rotate_at_once_write_one_rotation(tmp_path, database_url):
    workspaces = [Workspace.open(tmp_path / "home", database_url=database_url) for _ in range(2)]
    liquid(workspaces[0])
    start, done = threading.Barrier(2), []

    def run(workspace):
        start.wait()
        done.append(rotate(workspace, "liquid", as_of="2015-06-01", bars=FIRST))

    threads = [threading.Thread(target=run, args=(workspace,)) for workspace in workspaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rotations(workspaces[0], "liquid")
    said = universe.said(workspaces[0], "liquid")
    for workspace in workspaces:
        workspace.close()
    assert sorted(one.written for one in done) == [False, True]
    assert (len(found), len(said)) == (1, 2)
