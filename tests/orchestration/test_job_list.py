"""What `workbench jobs` prints."""

import datetime as dt

import pytest

from workbench.errors import NoData, ParameterError
from workbench.orchestration import job_list
from workbench.store import queue


@pytest.fixture
def three(engine):
    """A running, a failed and a waiting job, a second apart."""
    moment = [dt.datetime.now(dt.UTC)]  # whoever cancels looks at the real clock whether the lease ran out

    def clock():
        moment[0] += dt.timedelta(seconds=1)
        return moment[0]

    def put(key):
        return queue.enqueue(engine, kind="sweep", key=key, title=f"question {key}", payload={}, clock=clock).id

    ids = [put("a")]
    queue.claim(engine, holder="me", clock=clock).fail("WB503", "it raised", retryable=False, rng=None)
    ids.append(put("b"))
    running = queue.claim(engine, holder="me", clock=clock)
    running.progress(0, 100)
    running.progress(10, 100, "evaluating")
    ids.append(put("c"))
    return ids


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestJobs:
    def test_the_newest_first_and_nothing_is_invented(self, engine, three):
        frame, cursor = job_list.jobs(engine)
        assert frame["job"].tolist() == three[::-1]
        assert frame["status"].tolist() == ["QUEUED", "RUNNING", "FAILED"]
        assert frame["percent"].tolist()[1] == 10.0
        assert frame["left_s"].tolist()[1] == 9.0  # ten in a second
        assert frame.loc[[0, 2], "left_s"].isna().all()
        assert frame["seconds"].tolist()[2] == 1.0
        assert frame.loc[[0, 1], "seconds"].isna().all()
        assert frame["error"].tolist() == ["", "", "WB503: it raised"]
        assert cursor is None

    def test_page_by_page_and_by_status(self, engine, three):
        first, cursor = job_list.jobs(engine, last=2)
        second, end = job_list.jobs(engine, last=2, cursor=cursor)
        assert [*first["job"], *second["job"]] == three[::-1]
        assert end is None
        assert job_list.jobs(engine, status="FAILED")[0]["job"].tolist() == three[:1]
        with pytest.raises(ParameterError, match="status='LOST'"):
            job_list.jobs(engine, status="LOST")

    def test_one_job_in_full(self, engine, three):
        told = job_list.job(engine, three[1][:8]).set_index("field")["value"]
        assert (told["job"], told["percent"], told["progress"]) == (three[1], "10.0", "10 of 100")
        assert (told["note"], told["worker"], told["attempts"]) == ("evaluating", "me", "1 of 3")
        assert not {"run", "error", "ended", "cancelled by"} & set(told.index)
        with pytest.raises(NoData):
            job_list.job(engine, "zzz")

    def test_cancel_says_what_became_of_it(self, engine, three):
        failed, running, queued = three
        assert job_list.cancel(engine, queued) == f"{queued[:8]} is CANCELLED."
        assert "was asked to stop" in job_list.cancel(engine, running[:10], who="ann")
        assert job_list.job(engine, running).set_index("field")["value"]["cancelled by"] == "ann"
        assert job_list.cancel(engine, failed) == f"{failed[:8]} had ended before: FAILED."

    def test_an_empty_queue_is_an_empty_frame(self, engine):
        assert job_list.jobs(engine)[0].empty
