import shutil

from workbench.store import code
from workbench.store.code import code_seal


def test_edited_code_has_another_seal_and_untouched_parts_keep_theirs(tmp_path, monkeypatch):
    copy = tmp_path / "workbench"
    shutil.copytree(code.ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", copy)
    whole, market, backtest = code_seal(), code_seal("market"), code_seal("backtest", "strategy.py")
    assert (code_seal(), code_seal("market")) == (whole, market)
    with (copy / "strategy.py").open("a") as file:
        file.write("# edited\n")
    assert code_seal() != whole
    assert code_seal("market") == market
    assert code_seal("backtest", "strategy.py") != backtest


def test_the_seal_does_not_depend_on_where_the_package_lies(tmp_path, monkeypatch):
    here = code_seal("market", "errors.py")
    shutil.copytree(code.ROOT, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path / "elsewhere")
    assert code_seal("market", "errors.py") == here
