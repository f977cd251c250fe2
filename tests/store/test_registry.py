"""The registry: versions, optimistic locks, soft deletion and audit, on both databases, also with writers at once."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from workbench.errors import NoData, ParameterError, VersionConflict
from workbench.store import registry
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.strategy import StrategyRow, StrategyVersionRow
from workbench.strategies import Momentum, Rules, SmaCross
from workbench.strategies.code import code_identity


@pytest.fixture
def trend(engine):
    return registry.create(engine, "trend", "sma_cross", {"fast": 20}, description="follows", note="first")


@pytest.fixture
def other_code(monkeypatch):
    """From the call on, the code of every strategy is another one."""

    def change():
        for module in ("workbench.store.registry", "workbench.store.stored_strategy"):
            monkeypatch.setattr(f"{module}.code_identity", lambda _kind: "f" * 64)

    return change


def audited(engine, identifier):
    query = select(AuditRow).where(AuditRow.entity == "strategy", AuditRow.entity_id == identifier)
    with transaction(engine) as session:
        return list(session.scalars(query.order_by(AuditRow.happened, AuditRow.id)))


def count(engine, table):
    with transaction(engine) as session:
        return session.scalar(select(func.count()).select_from(table))


class TestCreate:
    def test_the_first_version_has_all_parameters_and_the_code_of_now(self, trend, monkeypatch):
        assert (trend.title, trend.kind, trend.description, trend.note) == ("trend", "sma_cross", "follows", "first")
        assert trend.params == {"fast": 20, "slow": 200}
        assert (trend.number, trend.newest, trend.version, trend.deleted_at) == (1, 1, 1, None)
        assert trend.code_hash == code_identity(SmaCross)
        assert trend.strategy_hash == SmaCross(fast=20).hash
        assert not trend.code_changed
        assert trend.line == "trend · sma_cross(fast=20, slow=200) · version 1 of 1"

    def test_it_can_be_read_by_title_and_by_id(self, engine, trend):
        assert registry.read(engine, "trend") == registry.read(engine, trend.id) == trend
        assert registry.strategy_of(trend) == SmaCross(fast=20)

    def test_nested_parameters_come_back_equal(self, engine):
        stored = registry.create(engine, "dips", "rules", Rules().params)
        assert registry.strategy_of(registry.read(engine, "dips")) == Rules()
        assert stored.params == Rules().params

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (("x", "sma_crss", {}), "not registered"),
            (("x", "sma_cross", {"fst": 3}), "did you mean 'fast'"),
            (("x", "sma_cross", {"fast": "20"}), "valid integer"),
            (("x", "sma_cross", {"fast": 0}), "greater than or equal to 1"),
            (("x", "sma_cross", {"fast": 300}), "fast=300 must be less than slow=200"),
            (("", "sma_cross", {}), "at least 1 character"),
            (("trend", "momentum", {}), "title='trend' is taken"),
            (("a\x00b", "sma_cross", {}), "control characters"),
        ],
    )
    def test_what_is_not_accepted_leaves_nothing_behind(self, engine, trend, asked, says):
        with pytest.raises(ParameterError, match=says) as caught:
            registry.create(engine, *asked)
        assert caught.value.facts["details"]
        assert [count(engine, table) for table in (StrategyRow, StrategyVersionRow, AuditRow)] == [1, 1, 1]

    @pytest.mark.parametrize("wanted", ["nothing", "0" * 32, "", "a\x00b"])
    def test_what_is_not_there_is_named(self, engine, trend, wanted):
        with pytest.raises(NoData, match="no strategy has the title or id"):
            registry.read(engine, wanted)
        with pytest.raises(NoData, match="does not exist"):
            registry.update(engine, wanted, expected_version=1, title="x")


class TestUpdate:
    def test_other_parameters_are_a_new_version_and_the_old_one_stays(self, engine, trend):
        changed = registry.update(engine, trend.id, expected_version=1, params={"fast": 30}, note="slower")
        assert (changed.number, changed.newest, changed.version, changed.note) == (2, 2, 2, "slower")
        assert changed.params == {"fast": 30, "slow": 200}
        first = registry.read(engine, "trend", 1)
        assert (first.params, first.note, first.number, first.newest) == (trend.params, "first", 1, 2)
        assert [version.number for version in registry.versions(engine, trend.id)] == [2, 1]
        with pytest.raises(NoData, match=r"'trend' has no version 3; it has 1 to 2"):
            registry.read(engine, "trend", 3)

    def test_parameters_that_are_absent_take_their_defaults(self, engine, trend):
        assert registry.update(engine, trend.id, expected_version=1, params={}).params == SmaCross().params

    def test_another_title_or_description_is_no_new_version_of_the_idea(self, engine, trend):
        changed = registry.update(engine, trend.id, expected_version=1, title="Trend 2", description="")
        assert (changed.title, changed.description, changed.newest, changed.version) == ("Trend 2", "", 1, 2)
        assert changed.updated_at >= trend.updated_at

    def test_the_same_again_writes_nothing(self, engine, trend):
        same = registry.update(
            engine, trend.id, expected_version=1, params={"fast": 20}, title="trend", description="follows", note="?"
        )
        assert same == trend
        assert len(audited(engine, trend.id)) == 1

    def test_the_same_parameters_for_other_code_are_a_new_version(self, engine, trend, other_code):
        other_code()
        assert registry.update(engine, trend.id, expected_version=1, title="renamed").newest == 1
        changed = registry.update(engine, trend.id, expected_version=2, params=trend.params)
        assert (changed.newest, changed.params, changed.code_hash) == (2, trend.params, "f" * 64)
        assert not changed.code_changed

    def test_a_writer_that_has_not_seen_the_newest_state_is_refused_with_both_values(self, engine, trend):
        registry.update(engine, trend.id, expected_version=1, params={"fast": 30})
        with pytest.raises(VersionConflict) as caught:
            registry.update(engine, trend.id, expected_version=1, params={"fast": 40, "slow": 200}, title="trend")
        error = caught.value
        assert "you have seen version 1, it is at 2" in error.message
        assert "params is {'fast': 30, 'slow': 200} and was to become {'fast': 40, 'slow': 200}" in error.message
        assert error.facts["theirs"] == {"params": {"fast": 30, "slow": 200}}
        assert error.facts["yours"] == {"params": {"fast": 40, "slow": 200}}
        assert registry.read(engine, "trend").params["fast"] == 30
        assert len(audited(engine, trend.id)) == 2

    def test_what_is_not_accepted_changes_nothing(self, engine, trend):
        registry.create(engine, "taken", "momentum")
        for change, says in (
            ({"params": {"fast": 0}}, "fast"),
            ({"title": "taken"}, "taken"),
            ({"title": ""}, "title"),
        ):
            with pytest.raises(ParameterError, match=says):
                registry.update(engine, trend.id, expected_version=1, **change)
        assert registry.read(engine, trend.id) == trend


class TestDelete:
    def test_a_deleted_one_keeps_its_versions_and_frees_its_title(self, engine, trend):
        gone = registry.delete(engine, trend.id, expected_version=1)
        assert (gone.deleted_at is not None, gone.version) == (True, 2)
        with pytest.raises(NoData):
            registry.read(engine, "trend")
        assert registry.read(engine, trend.id).params == trend.params
        again = registry.create(engine, "trend", "momentum")
        assert registry.read(engine, "trend").id == again.id != trend.id
        for change in (registry.delete, registry.update):
            with pytest.raises(NoData, match="is deleted; nothing was changed"):
                change(engine, trend.id, expected_version=2)

    def test_a_stale_delete_is_refused(self, engine, trend):
        registry.update(engine, trend.id, expected_version=1, params={"fast": 30})
        with pytest.raises(VersionConflict, match="deleted is False and was to become True"):
            registry.delete(engine, trend.id, expected_version=1)
        assert registry.read(engine, "trend").deleted_at is None

    def test_it_comes_back_unless_its_title_was_given_away(self, engine, trend):
        registry.delete(engine, trend.id, expected_version=1)
        back = registry.restore(engine, trend.id)
        assert (back.deleted_at, back.version, back.params) == (None, 3, trend.params)
        assert registry.restore(engine, trend.id) == back
        registry.delete(engine, trend.id, expected_version=3)
        registry.create(engine, "trend", "momentum")
        with pytest.raises(ParameterError, match="title='trend' is taken"):
            registry.restore(engine, trend.id)
        with pytest.raises(NoData, match="does not exist"):
            registry.restore(engine, "nothing")


class TestList:
    def test_pages_go_through_all_of_them_once_the_youngest_first(self, engine):
        made = [registry.create(engine, f"s{n}", "momentum", {"top": n + 1}).id for n in range(7)]
        seen, after = [], None
        for expected in (3, 3, 1):
            page = registry.listed(engine, after=after, limit=3)
            assert len(page) == expected
            seen += [one.id for one in page]
            after = page[-1].id
        assert seen == made[::-1]
        assert registry.listed(engine, after=after, limit=3) == []

    def test_a_page_goes_on_behind_one_that_was_deleted_meanwhile(self, engine):
        made = [registry.create(engine, f"s{n}", "momentum") for n in range(4)]
        page = registry.listed(engine, limit=2)
        registry.delete(engine, page[-1].id, expected_version=1)
        assert [one.title for one in registry.listed(engine, after=page[-1].id, limit=2)] == ["s1", "s0"]
        assert [one.id for one in registry.listed(engine, deleted=True)] == [made[2].id]

    def test_by_kind_and_with_the_newest_parameters(self, engine, trend):
        registry.create(engine, "winners", "momentum")
        registry.update(engine, trend.id, expected_version=1, params={"fast": 30})
        found = registry.listed(engine, kind="sma_cross")
        assert [(one.title, one.params["fast"], one.number) for one in found] == [("trend", 30, 2)]
        assert registry.listed(engine, kind="nothing") == []

    def test_bounds_are_named(self, engine):
        for limit in (0, 1001):
            with pytest.raises(ParameterError, match="must lie from 1 to 1000"):
                registry.listed(engine, limit=limit)
        with pytest.raises(NoData, match="after='x' is no strategy"):
            registry.listed(engine, after="x")


class TestCode:
    def test_changed_code_is_seen_and_not_built_by_mistake(self, engine, trend, other_code):
        other_code()
        stored = registry.read(engine, "trend")
        assert stored.code_changed
        assert [one.code_changed for one in registry.listed(engine)] == [True]
        with pytest.raises(VersionConflict, match="the code of sma_cross has changed since version 1 of 'trend'"):
            registry.strategy_of(stored)
        assert registry.strategy_of(stored, any_code=True) == SmaCross(fast=20)

    def test_a_kind_that_is_gone_can_be_read_but_not_built(self, engine, trend, monkeypatch):
        for module in ("workbench.store.stored_strategy", "workbench.strategies.schema"):
            monkeypatch.setattr(f"{module}.registered", lambda: {"momentum": Momentum})
        stored = registry.read(engine, "trend")
        assert stored.code_changed
        with pytest.raises(ParameterError, match="strategy='sma_cross' is not registered"):
            registry.strategy_of(stored)
        registry.delete(engine, stored.id, expected_version=1)


class TestAudit:
    def test_every_change_leaves_who_before_and_after(self, engine, trend, monkeypatch):
        monkeypatch.setenv("WORKBENCH_ACTOR", "carol")
        registry.update(engine, trend.id, expected_version=1, params={"fast": 30})
        registry.delete(engine, trend.id, expected_version=2)
        registry.restore(engine, trend.id)
        rows = audited(engine, trend.id)
        assert [row.action for row in rows] == ["CREATED", "UPDATED", "DELETED", "RESTORED"]
        assert [row.who for row in rows[1:]] == ["carol"] * 3
        created, updated, deleted, restored = rows
        assert (created.before, created.after["params"]) == (None, {"fast": 20, "slow": 200})
        assert (updated.before["params"]["fast"], updated.after["params"]["fast"]) == (20, 30)
        assert (updated.before["number"], updated.after["number"]) == (1, 2)
        assert (deleted.before["version"], deleted.after) == (2, None)
        assert restored.after["version"] == 4
        assert registry.read(engine, "trend").who == "carol"

    def test_a_change_that_fails_leaves_no_audit(self, engine, trend, monkeypatch):
        def broken(*_args, **_named):
            raise RuntimeError("no audit, no change")

        monkeypatch.setattr("workbench.store.registry.record", broken)
        with pytest.raises(RuntimeError):
            registry.update(engine, trend.id, expected_version=1, params={"fast": 30})
        assert registry.read(engine, trend.id) == trend


def at_once(*tasks):
    """Run the tasks in threads that start together; what each returned or raised, in order."""
    together, found = threading.Barrier(len(tasks)), [None] * len(tasks)

    def work(place, task):
        together.wait()
        try:
            found[place] = task()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found[place] = error

    threads = [threading.Thread(target=work, args=item) for item in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class TestTogether:
    def test_of_many_writers_one_wins_and_the_others_learn_of_it(self, engine, trend):
        for turn in range(1, 4):

            def write(fast, seen=turn):
                return registry.update(engine, trend.id, expected_version=seen, params={"fast": fast})

            found = at_once(*(lambda fast=10 * turn + n: write(fast) for n in range(4)))
            won = [one for one in found if isinstance(one, registry.Stored)]
            lost = [one for one in found if isinstance(one, VersionConflict)]
            assert (len(won), len(lost)) == (1, 3), found
            assert registry.read(engine, trend.id) == won[0]
            assert all(error.facts["theirs"]["params"] == won[0].params for error in lost)
        numbers = [version.number for version in registry.versions(engine, trend.id)]
        assert numbers == [4, 3, 2, 1]
        assert len(audited(engine, trend.id)) == 4

    def test_of_two_with_one_title_one_is_stored(self, engine):
        found = at_once(*(lambda kind=kind: registry.create(engine, "one", kind) for kind in ("momentum", "sma_cross")))
        assert sorted(type(one).__name__ for one in found) == ["ParameterError", "Stored"]
        assert len(registry.listed(engine)) == 1

    def test_of_a_delete_and_an_update_at_once_one_wins(self, engine, trend):
        found = at_once(
            lambda: registry.delete(engine, trend.id, expected_version=1),
            lambda: registry.update(engine, trend.id, expected_version=1, params={"fast": 30}),
        )
        assert sum(isinstance(one, registry.Stored) for one in found) == 1
        assert any(isinstance(one, VersionConflict | NoData) for one in found)
