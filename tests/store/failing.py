"""Failing: a store of vintages whose disk, or whose process, ends at a step that the test names."""

import contextlib
import itertools
from unittest.mock import patch


@contextlib.contextmanager
def failing_at(vintages, number, failure):
    """`failure` is raised at the write or removal of that number: before it (even) or right after it (odd)."""
    done = itertools.count()
    place = vintages._place
    write, remove = place.write, place.remove

    def counted(act):
        def acting(*arguments):
            now = next(done)
            if now * 2 == number:
                raise failure
            act(*arguments)
            if now * 2 + 1 == number:
                raise failure

        return acting

    with patch.object(place, "write", counted(write)), patch.object(place, "remove", counted(remove)):
        yield
