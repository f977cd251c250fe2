"""A listener to the progress of a job."""

from workbench.errors import JobCancelled


class Heard:
    """Remembers what was reported, and stops the work at a number of units when it was told one."""

    def __init__(self, stop_at=None):
        self.reports, self.stop_at = [], stop_at

    def __call__(self, done, total, note=""):
        self.reports.append((done, total, note))
        if self.stop_at is not None and done >= self.stop_at:
            raise JobCancelled("stop")
