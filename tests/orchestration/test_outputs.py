import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from workbench.errors import ParameterError
from workbench.orchestration import outputs


def notebook(*records):
    cells = [{"cell_type": "markdown", "source": "no outputs here"}]
    for name, value in records:
        data = {outputs.MIME: {"name": name, "value": value}, "text/plain": "x"}
        cells.append({"cell_type": "code", "outputs": [{"output_type": "stream", "text": "x"}, {"data": data}]})
    return {"cells": cells}


def test_records_are_read_in_order_and_the_last_one_wins(tmp_path):
    written = notebook(("a", 1), ("b", [None, "x"]), ("a", 2))
    assert list(outputs.read(written).items()) == [("b", [None, "x"]), ("a", 2)]
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(written))
    assert outputs.read(path) == outputs.read(str(path)) == {"b": [None, "x"], "a": 2}
    assert outputs.read(notebook()) == {}


def test_a_record_goes_into_the_output_of_the_cell():
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            outputs.record("page", Path("runs/page.html"))
    finally:
        InteractiveShell.clear_instance()
    (shown,) = captured.outputs
    assert shown.data[outputs.MIME] == {"name": "page", "value": "runs/page.html"}
    assert shown.data["text/plain"] == "page = runs/page.html"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": {1, 2}}])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ParameterError, match=r"record\('a'"):
        outputs.record("a", value)


def test_a_record_without_a_name_is_refused():
    with pytest.raises(ParameterError, match="empty name"):
        outputs.record("", 1)


def test_outside_a_notebook_nothing_happens(capsys):
    outputs.record("a", 1)
    assert capsys.readouterr().out == ""
