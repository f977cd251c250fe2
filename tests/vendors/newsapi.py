"""NewsAPI's search on loopback, in its documented shape, with invented articles."""

from __future__ import annotations

from tests.vendors.server import Reply


def no(code, message, status):
    return Reply({"status": "error", "code": code, "message": message}, status=status)


BAD_KEY = no("apiKeyInvalid", "Your API key is invalid or incorrect.", 401)
TOO_OLD = no("parameterInvalid", "You are trying to request results too far in the past.", 426)
IN_THE_BODY = no("apiKeyDisabled", "Your API key has been disabled.", 200)
REFUSALS = (BAD_KEY, TOO_OLD, IN_THE_BODY)


def article(number, moment, symbol="AAPL", **changed):
    """One article of this moment."""
    return {
        "source": {"id": None, "name": "loopback wire"},
        "author": "Nobody",
        "title": f"{symbol} in an invented headline {number}",
        "description": "Made up for a test.",
        "url": f"https://news.example.org/{number}",
        "urlToImage": None,
        "publishedAt": moment,
        "content": "",
    } | changed


NEWS = [
    article(1, "2024-03-05T13:00:00Z"),
    article(2, "2024-03-06T01:30:00Z", author=None, description=None),
    article(3, "2024-03-05T14:00:00Z", description="AAPL", title="[Removed]", url="https://removed.com"),
    article(4, "2024-03-06T14:00:00Z", "MSFT"),
]


def everything(articles=NEWS, *, given=100):
    """The newest articles of the span that have the word searched for, and how many there are."""

    def reply(asked):
        first, last = (f"{asked.query[name]}Z" for name in ("from", "to"))
        word = asked.query["q"].strip('"')
        found = [
            one
            for one in articles
            if word in f"{one['title']} {one['description']}" and first <= one["publishedAt"] <= last
        ]
        return {"status": "ok", "totalResults": len(found), "articles": found[::-1][:given]}

    return reply


def routes(vendor):
    """The one address that is asked."""
    vendor.route(r"/v2/everything", everything())
