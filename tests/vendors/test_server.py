import httpx
import pytest

from tests.vendors.server import HTML, Reply, Vendor, half


def test_the_vendor_answers_by_route_remembers_and_misbehaves():
    with Vendor() as vendor, httpx.Client() as client:
        vendor.route(r"/v1/.*", lambda asked: {"you": asked.query["q"]})
        assert client.get(f"{vendor.url}/v1/x", params={"q": "1"}).json() == {"you": "1"}
        assert client.get(f"{vendor.url}/other").status_code == 404
        assert [asked.path for asked in vendor.asked] == ["/v1/x", "/other"]
        vendor.next(
            HTML, Reply({}, status=503, headers={"Retry-After": "2"}), half({"a": [1] * 100}), Reply(reset=True)
        )
        assert client.get(vendor.url).text.startswith("<!doctype")
        assert client.get(vendor.url).headers["retry-after"] == "2"
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                client.get(vendor.url)
