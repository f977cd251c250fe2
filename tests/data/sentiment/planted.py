"""Invented headlines with a planted direction, for holding the reader of tones to account.

Every template was written as a newsroom would put it, and not from the reader's patterns; the figures asserted in
`test_held_out.py` were taken at the first run and only then. `{n}` is a name, `{p}` a percentage, `{m}` an amount,
`{q}` a quarter, `{t}` a tail that says nothing.
"""

import numpy as np

NAMES = (
    "Harrow Mills", "Norvik", "Tellam Foods", "Brightwater Energy", "Castellan Bank", "Ostra Pharma", "Quillon",
    "Delmar Rail", "Pellier Group", "Sandgate Motors", "Vantorre", "Ibex Software", "Great Lakes Paper", "Win Hotels",
    "Advance Tools", "Fairgrowth Insurance",
)  # fmt: skip
TAILS = (
    "", "", "", " - filing", ", sources say", " in early trading", ", CEO tells investors", " on Tuesday",
    ", according to a statement", " (update)", " | Market wrap", "; shares to be listed in London",
)  # fmt: skip

GOOD = (
    "{n} profit comes in ahead of consensus as {q} revenue climbs {p}",
    "{n} tops Street estimates for the {q} quarter",
    "{n} posts quarterly earnings that sail past expectations",
    "Stronger-than-expected {q} results lift {n}",
    "{n} nudges up full-year profit guidance",
    "{n} boosts 2027 sales forecast on cloud demand",
    "{n} now sees annual earnings above prior view",
    "Regulators give {n} green light for kidney drug",
    "FDA grants approval to {n} asthma inhaler",
    "{n} heart drug meets main goal in late-stage study",
    "{n} lands {m} Pentagon contract",
    "{n} awarded {m} order for turbines",
    "{n} to be bought by private equity group for {m}",
    "{n} agrees to {m} takeover at {p} premium",
    "Hedge fund lobs {m} bid for {n}",
    "{n} hikes quarterly payout by {p}",
    "{n} unveils {m} share repurchase programme",
    "{n} reinstates dividend after two-year pause",
    "Broker lifts {n} to buy, cites valuation",
    "{n} upgraded to overweight at a large bank",
    "{n} price target raised to {m} on margin story",
    "{n} quarterly loss shrinks more than feared",
    "{n} swings to profit in {q} quarter",
    "Judge throws out patent suit against {n}",
    "{n} cleared of wrongdoing in price-fixing case",
    "{n} shares soar {p} on order win",
    "{n} stock hits record high after results",
    "{n} slashes debt by {m} ahead of schedule",
    "{n} cuts costs faster than planned, margins widen",
    "{n} joins S&P 500 next month",
    "{n} deliveries jump {p} to all-time high",
    "Upbeat outlook sends {n} higher",
    "{n} signs ten-year supply pact with carmaker",
    "{n} emerges from Chapter 11 with less debt",
    "{n} founder buys {m} of stock on open market",
    "{n} wins back market share from rivals",
    "Strike at {n} plants ends after deal with union",
    "{n} crushes forecasts as subscribers surge",
    "{n} earnings per share double in {q} quarter",
    "Moody's raises credit rating of {n} to investment grade",
)
BAD = (
    "{n} falls short of Street expectations in {q} quarter",
    "{n} quarterly profit misses consensus by {p}",
    "{n} reports surprise loss of {m}",
    "{n} trims full-year outlook as orders dry up",
    "{n} lowers 2027 delivery target",
    "{n} issues profit warning, blames strong dollar",
    "{n} scraps annual forecast amid tariff uncertainty",
    "{n} guides {q} revenue below estimates",
    "FDA turns down {n} migraine drug",
    "{n} cancer therapy fails in late-stage trial",
    "Justice Department sues {n} over ad pricing",
    "{n} under investigation for accounting of leases",
    "EU watchdog fines {n} {m} for cartel",
    "{n} hit with {m} verdict in opioid case",
    "{n} recalls 120,000 cars over faulty brakes",
    "{n} chief executive steps down abruptly",
    "{n} ousts finance chief after internal review",
    "{n} slashes dividend to save cash",
    "{n} omits quarterly payout for first time since 1998",
    "{n} files for bankruptcy protection",
    "{n} raises going-concern doubt in annual report",
    "{n} launches {m} stock offering at discount",
    "{n} to sell {m} of new shares to repay loans",
    "{n} downgraded to sell on slowing growth",
    "Broker cuts {n} to underperform",
    "{n} price target slashed to {m}",
    "Credit rating of {n} lowered to junk",
    "{n} loses biggest customer to rival",
    "Airline cancels {m} order with {n}",
    "{n} takeover by pension fund collapses",
    "{n} calls off merger with supplier",
    "{n} shares plunge {p} as margins shrink",
    "{n} sinks to 52-week low",
    "{n} to cut 3,000 jobs as demand weakens",
    "{n} shuts plant in Ohio, takes {m} charge",
    "Hackers steal customer records from {n}",
    "{n} restates three years of results",
    "Short seller says {n} inflated revenue",
    "{n} quarterly loss widens to {m}",
    "{n} auditor resigns over unpaid fees",
    "{n} removed from S&P 500",
    "Workers at {n} walk off the job over pay",
)
NEGATED_BAD = (  # a good thing that did not happen
    "{n} fails to beat expectations in {q} quarter",
    "{n} does not raise its outlook as some had hoped",
    "{n} no longer expects to win approval this year",
    "{n} denies it is in takeover talks",
    "{n} unable to secure new contract with navy",
    "FDA has not approved {n} drug, company admits",
    "{n} will not increase dividend this year",
    "{n} rules out share buyback",
    "No upgrade for {n} as agency sees weak cash flow",
    "{n} board declines to raise dividend",
)
NEGATED_GOOD = (  # a bad thing that did not happen
    "{n} does not cut its dividend despite storm",
    "{n} avoids bankruptcy with lender deal",
    "{n} says it will not lower full-year guidance",
    "{n} rules out profit warning",
    "{n} denies it plans job cuts",
    "No recall needed for {n} trucks, regulator says",
    "{n} averts strike at main hub",
    "{n} no longer under investigation",
    "{n} quarterly sales did not fall as feared",
    "{n} escapes fine in data case",
)
NEUTRAL = (
    "{n} to hold annual meeting on May 12",
    "{n} moves headquarters to Lisbon",
    "{n} to present at technology conference",
    "{n} will publish {q} results on Thursday",
    "What to know about {n} this week",
    "{n} names new head of communications",
    "{n} shares begin trading under new symbol",
    "{n} opens museum of its history",
    "{n} changes fiscal year end to June",
    "A look inside the kitchen of {n}",
    "{n} sponsors city marathon",
    "{n} redesigns its website",
)
BY_DIRECTION = ((GOOD, 1), (BAD, -1), (NEGATED_BAD, -1), (NEGATED_GOOD, 1), (NEUTRAL, 0))


def headlines(seed, copies=6):
    """(headline, direction, whether it is negated): every template `copies` times with drawn names and numbers."""
    rng = np.random.default_rng(seed)
    made = []
    for templates, direction in BY_DIRECTION:
        for template in templates:
            for _ in range(copies):
                text = template.format(
                    n=NAMES[rng.integers(len(NAMES))],
                    p=f"{rng.integers(2, 60)}%",
                    m=f"${rng.integers(1, 90)}.{rng.integers(0, 9)} {rng.choice(['billion', 'mln'])}",
                    q=rng.choice(["first", "Q2", "third", "fourth"]),
                )
                tail = TAILS[rng.integers(len(TAILS))]
                made.append((text + tail, direction, templates in (NEGATED_BAD, NEGATED_GOOD)))
    return made
