"""Weighing: several sources of one subject beside each other: the weight of each, and how far apart they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

import pandas as pd

from workbench.data.fusion.gather import Said
from workbench.data.fusion.record import Disagreement, Fact
from workbench.data.fusion.rules import RELIABILITY, RULES, UNKNOWN_SOURCE
from workbench.data.significant import significant

ORDER: Final = {kind: place for place, kind in enumerate(RULES)}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def weighed(said: list[Said], now: int) -> Iterable[Fact]:
    """The facts of a record: by kind and subject, the weights of the sources beside each other add up to 1.

    Args:
        said: what counts.
        now: microseconds since 1970, the moment of the record.
    """
    by_subject: dict[tuple[str, str], list[Said]] = {}
    for line in said:
        by_subject.setdefault((line.place.rule.kind, line.subject), []).append(line)
    for (kind, subject), lines in by_subject.items():
        youngest = max(line.happened for line in lines)  # ages count from it, so that old facts do not all weigh 0
        half_life = RULES[kind].half_life / pd.Timedelta(1, unit="us")
        raw = [
            2.0 ** (-(youngest - line.happened) / half_life) * line.quality * _reliability(line.place.source)
            for line in lines
        ]
        total = sum(sorted(raw))
        for line, weight in zip(lines, raw, strict=True):
            about = "" if " " not in subject and RULES[kind].subject == "symbol" else f":{subject.split(' ')[-1]}"
            yield Fact(
                id=f"{kind}:{line.place.source}{about}",
                kind=kind,
                source=line.place.source,
                subject=subject,
                session=line.session,
                happened=_iso(line.happened),
                learned=_iso(line.learned),
                age_s=significant(max(0, now - line.happened) / 1e6),
                known_s=significant((now - line.learned) / 1e6),
                quality=significant(line.quality),
                weight=significant(weight / total if total else 1.0 / len(lines)),
                says=line.says,
                notes=tuple(line.notes),
            )


def disagreements(said: list[Said]) -> list[Disagreement]:
    """How far the sources are apart, on the newest day of which two of them speak; by kind and subject."""
    by_subject: dict[tuple[str, str], list[Said]] = {}
    for line in said:
        by_subject.setdefault((line.place.rule.kind, line.subject), []).append(line)
    found = []
    for kind, subject in sorted(by_subject, key=lambda key: (ORDER[key[0]], key[1])):
        lines, rule = by_subject[(kind, subject)], RULES[kind]
        if len(lines) < 2:
            continue
        days = sorted({day for line in lines for day in line.compared}, reverse=True)
        for day in days:
            values = {line.place.source: line.compared[day] for line in lines if day in line.compared}
            if len(values) > 1:
                spread = max(values.values()) - min(values.values())
                size = sum(sorted(abs(value) for value in values.values())) / len(values)
                if rule.spread == "relative":
                    spread = spread / size if size else 0.0
                shown = {source: significant(values[source]) for source in sorted(values)}
                found.append(Disagreement(kind, subject, rule.compare, day, rule.spread, significant(spread), shown))
                break
    return found


def _reliability(source: str) -> float:
    return RELIABILITY.get("synthetic" if source.startswith("synthetic") else source, UNKNOWN_SOURCE)


def _iso(micro: int) -> str:
    return (_EPOCH + dt.timedelta(microseconds=micro)).isoformat()
