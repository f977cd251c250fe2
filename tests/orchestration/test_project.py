from pathlib import Path

import pytest

from workbench.errors import PipelineError, PipelineInvalid
from workbench.orchestration.project import Project


def test_the_project_is_found_from_anywhere_inside(site):
    deep = site.root / "notebooks" / "deep"
    deep.mkdir()
    assert Project.find(deep) == Project.find(site.root) == Project(site.root)


def test_outside_a_project_the_error_says_what_to_do(tmp_path):
    with pytest.raises(PipelineError, match="--project"):
        Project.find(tmp_path)


def test_a_pipeline_is_found_by_name_or_path(site):
    path = site.yaml("name: daily", name="daily")
    assert site.project.pipeline_file("daily") == path
    assert site.project.pipeline_file(str(path)) == path
    with pytest.raises(PipelineInvalid, match="did you mean 'daily'"):
        site.project.pipeline_file("dayly")


def test_a_relative_home_is_the_same_place_from_everywhere(site):
    assert site.project.home(Path(".workbench")) == site.root / ".workbench"
    assert site.project.home(Path("/var/state")) == Path("/var/state")
