"""A loopback S3 server, and a store of vintages in each kind of place."""

from __future__ import annotations

import itertools
import socket

import fsspec
import pytest

from workbench.store.vintages import Vintages

_number = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server():
    """Storage options for a real S3 protocol on loopback, in a thread of this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    yield {"key": "test-key", "secret": "test-secret", "endpoint_url": f"http://127.0.0.1:{port}"}
    server.stop()


@pytest.fixture(scope="session")
def s3_bucket(s3_server):
    """A bucket at the server."""
    fsspec.filesystem("s3", **s3_server).mkdir("workbench-tests")
    return "workbench-tests"


@pytest.fixture
def bucket(s3_bucket, s3_server):
    """The URL of an empty place in a bucket, and the storage options to reach it."""
    return f"s3://{s3_bucket}/{next(_number)}", s3_server


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request, tmp_path):
    """URL and storage options of an empty place of each kind: a folder, a file URL, no file system at all, S3."""
    if request.param == "s3":
        url, options = request.getfixturevalue("bucket")
        yield f"{url}/market/data", options
    elif request.param == "memory":
        yield f"memory://{tmp_path.name}", None
        memory = fsspec.filesystem("memory")
        if memory.exists(f"/{tmp_path.name}"):
            memory.rm(f"/{tmp_path.name}", recursive=True)
    else:
        yield str(tmp_path / "v") if request.param == "folder" else (tmp_path / "v").as_uri(), None


@pytest.fixture
def vintages(place):
    """The same promises hold in every place."""
    url, options = place
    return Vintages(url, options=options)
