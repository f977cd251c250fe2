"""FRED on loopback, with series of our own: real-time periods cut at the question's ends, pages, limits, errors."""

from tests.vendors.server import Reply

FIRST, LAST = "1776-07-04", "9999-12-31"
MOST_VINTAGES = 2_000
# Per series: day observed, from and until when the value stood, the value as FRED writes it.
SERIES = {
    "OURCPI": [
        ("2024-01-01", "2024-02-13", "2024-03-12", "301.5"),
        ("2024-01-01", "2024-03-13", LAST, "301.9"),  # revised
        ("2024-02-01", "2024-03-13", LAST, "302.75"),
        ("2024-03-01", "2024-04-10", "2024-05-14", "."),  # first nothing, then a number
        ("2024-03-01", "2024-05-15", LAST, "304.1"),
    ],
    "OURRATE": [
        ("2024-01-01", "2024-02-01", "2024-03-01", "4.5"),  # left the series and came back
        ("2024-01-01", "2024-04-01", LAST, "4.25"),
        ("2024-02-01", "2024-03-01", "2024-03-31", "4.75"),
        ("2024-02-01", "2024-04-01", LAST, "."),  # withdrawn
        ("2024-04-01", "2024-03-20", LAST, "5.0"),  # a projection: said before its day
    ],
}


def refusal(message):
    return Reply({"error_code": 400, "error_message": f"Bad Request.  {message}"}, status=400)


NO_SERIES = refusal("The series does not exist.")


def routes(vendor, *, series=None, page=None):
    """`page`: how many rows the vendor gives at most, whatever is asked for."""
    series = SERIES if series is None else series

    def answering(make):
        def answer(asked):
            query = asked.query
            if query.get("api_key", "") == "":
                return refusal("Variable api_key is not set.")
            if query.get("series_id") not in series:
                return NO_SERIES
            return make(query, series[query["series_id"]], min(int(query["limit"]), page or 100_000))

        return answer

    vendor.route(r"/fred/series/observations", answering(observations))
    vendor.route(r"/fred/series/vintagedates", answering(vintage_dates))


def head(query, size):
    return {
        "realtime_start": query["realtime_start"],
        "realtime_end": query["realtime_end"],
        "file_type": query["file_type"],
        "sort_order": query["sort_order"],
        "offset": int(query["offset"]),
        "limit": size,
    }


def dates(rows, query):
    """The days on which something changed: a value came, or left."""
    return sorted({row[1] for row in rows if query["realtime_start"] <= row[1] <= query["realtime_end"]})


def vintage_dates(query, rows, size):
    days, offset = dates(rows, query), int(query["offset"])
    return head(query, size) | {"count": len(days), "vintage_dates": days[offset : offset + size]}


def observations(query, rows, size):
    since, until = query["realtime_start"], query["realtime_end"]
    if (count := len(dates(rows, query))) > MOST_VINTAGES:
        return refusal(
            f"There are {count} vintage dates in the specified real-time period: {since} to {until}.  "
            f"This exceeds the maximum number of vintage dates allowed ({MOST_VINTAGES})."
        )
    found = [
        {"realtime_start": max(first, since), "realtime_end": min(last, until), "date": day, "value": value}
        for day, first, last, value in sorted(rows)
        if query["observation_start"] <= day <= query["observation_end"] and first <= until and last >= since
    ]
    offset = int(query["offset"])
    return head(query, size) | {"units": "lin", "count": len(found), "observations": found[offset : offset + size]}
