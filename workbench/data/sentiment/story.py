"""Story: which articles tell the same, told by several publishers. A fingerprint of the wording, and when two agree.

The fingerprint is a simhash (Charikar 2002) of 64 bits over the words of a headline, its pairs of neighbouring words
and its numbers, after the marks of wires and publishers are taken off. Of two headlines with the cosine c of their
features about 64·arccos(c)/π bits differ. `NEAR` of them are allowed: c of about 0.83 and more.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import Final

import numpy as np

NEAR: Final = 12  # bits in which two fingerprints of one story may differ

_WIRE = re.compile(
    r"^\s*(?:(?:update|wrapup|corrected|refile|breaking|exclusive|brief|alert|watch|just in)\s*\d*\s*[-:–]\s*)+"
)
_PUBLISHER = re.compile(r"\s+(?:[-–—|]|\.\.\.)\s+[^-–—|]{2,40}$|\s*\((?:reuters|ap|bloomberg|afp|dow jones)\)\s*$")
_LEGAL = re.compile(
    r"\s*\((?:[a-z]+\s*:\s*)?[a-z.\-]{1,6}\)|(?<=[a-z])[,.]? (?:inc|corp|corporation|co|ltd|plc|ag|sa|nv|se)\b\.?"
)
_ASIDE = re.compile(
    r",? (?:sources (?:say|said)|source says|sources|filing shows|statement says)$|"
    r" on (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
)
_UNITS = (
    (re.compile(r"(?<=\d)\s*(?:percent|per cent|pct)\b"), "%"),
    (re.compile(r"(?<=\d)\s*(?:bn|billion|b)\b"), "bn"),
    (re.compile(r"(?<=\d)\s*(?:mln|mn|million|m)\b"), "mn"),
    (re.compile(r"\b(?:u\.s\.|us)\b"), "us"),
)
_WORD = re.compile(r"\d+(?:[.,]\d+)*[a-z%]*|[a-z&]+")
_SMALL = re.compile(r"(?:an?|the|of|to|in|on|for|at|by|with|and|as|its?|is|are|says?|said)")


def wording(headline: str) -> str:
    """The headline without case, marks of wire and publisher, punctuation and small words."""
    text = headline.lower().replace("’", "'")
    text = _LEGAL.sub("", _PUBLISHER.sub("", _WIRE.sub("", text)))
    text = _ASIDE.sub("", text.rstrip(" .!"))
    for pattern, unit in _UNITS:
        text = pattern.sub(unit, text)
    words = _WORD.findall(text.replace("'s", ""))
    return " ".join(word for word in words if not _SMALL.fullmatch(word)) or " ".join(words)


def fingerprint(headline: str) -> str:
    """The fingerprint of a story: 16 hex digits; "" for a headline without a word."""
    words = wording(headline).split()
    if not words:
        return ""
    features = [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words))]
    features += [f"number {word}" for word in words if word[0].isdigit()]  # a figure names a story better than a verb
    hashed = b"".join(hashlib.blake2b(feature.encode(), digest_size=8).digest() for feature in features)
    bits = np.unpackbits(np.frombuffer(hashed, dtype=np.uint8).reshape(len(features), 8), axis=1)
    majority = bits.sum(axis=0) * 2 > len(features)
    return np.packbits(majority).tobytes().hex()


def apart(first: str, second: str) -> int:
    """In how many of the 64 bits two fingerprints differ; 64 where one of them is empty."""
    if not first or not second:
        return 64
    return (int(first, 16) ^ int(second, 16)).bit_count()
