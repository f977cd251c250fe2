"""Frankfurter v2 on loopback, with rates of our own: what it answers to what, its carrying forward and its refusals."""

import pandas as pd

from tests.vendors.server import Reply

KNOWN = {"base", "quotes", "providers", "date", "from", "to", "group", "expand"}
# One euro in each currency. 4 May is a Saturday; 1 May is a holiday of the euro's payment system.
RATES = {
    "USD": {"2024-04-29": 1.25, "2024-04-30": 1.2, "2024-05-02": 1.28, "2024-05-03": 1.26, "2024-05-06": 1.3},
    "GBP": {"2024-04-29": 0.8, "2024-04-30": 0.81, "2024-05-02": 0.84, "2024-05-03": 0.88, "2024-05-06": 0.85},
    "JPY": {"2024-04-29": 150.5, "2024-04-30": 151.25},
}


def refusal(message):
    return Reply({"status": 422, "message": message}, status=422)


def routes(vendor):
    vendor.route(r"/v2/rates", rates)


def rates(asked):
    query = asked.query
    if unknown := set(query) - KNOWN:
        return refusal(f"unknown parameter: {', '.join(sorted(unknown))}")
    quotes = query.get("quotes", ",".join(RATES)).split(",")
    if invalid := [quote for quote in quotes if quote not in RATES and quote != "EUR"]:
        return refusal(f"invalid currency: {','.join(invalid)}")
    # Without a pinned institution the rate is a mean of many: another number.
    blended = 1.0 if query.get("providers", "").upper() == "ECB" else 1.0001
    since, until = query["from"], query["to"]
    rows = []
    for quote in quotes:
        of_quote = RATES.get(quote, {})
        days = [day for day in of_quote if since <= day <= until]
        before = [
            day for day in of_quote if day < since and pd.Timestamp(since) - pd.Timestamp(day) < pd.Timedelta("14D")
        ]
        if since not in of_quote and before:
            days.insert(0, max(before))  # a span that begins on a silent day opens with the newest rate before it
        rows += [{"date": day, "base": "EUR", "quote": quote, "rate": of_quote[day] * blended} for day in days]
    return sorted(rows, key=lambda row: (row["date"], row["quote"]))
