"""What HTML from a notebook may do in a page: be text, tables and embedded pictures; never run, load or cover."""

from __future__ import annotations

import html
import re

_TAGS = frozenset(
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 "  # noqa: SIM905 - a list of words reads better
    "hr i img ins kbd li mark ol p pre s samp small span strong sub summary sup table tbody td tfoot th thead time tr "
    "u ul var".split()
)
_ATTRIBUTES = {
    "col": {"span"},
    "details": {"open"},
    "img": {"alt", "height", "width"},
    "li": {"value"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
# None of these takes a URL or moves an element out of its place.
_STYLES = frozenset(
    "background-color border border-bottom border-collapse border-left border-right border-spacing border-top color "  # noqa: SIM905 - the same
    "font-family font-size font-style font-variant-numeric font-weight letter-spacing line-height margin-bottom "
    "margin-left margin-right margin-top max-width min-width padding padding-bottom padding-left padding-right "
    "padding-top text-align text-decoration text-indent vertical-align white-space width".split()
)
_LINK = re.compile(r"(https?://|mailto:|#)[^\s]*", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
# Our tables, pandas' tables and the one-to-three-letter classes of highlighted code; the page's own classes are longer
# words, so that a notebook cannot dress its text as the page's banner.
_CLASS = re.compile(r"wb-[a-z0-9-]+|dataframe|highlight|[a-z]{1,2}[a-z0-9]?")
_WITH_CONTENT = re.compile(
    r"<(script|style|template|noscript|iframe|textarea|title)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL
)


def sanitize(markup: str) -> str:
    """The markup with everything taken out that could run, load from the net, or pose as a part of the page.

    Scripts and style sheets go with their content; other unknown tags go, and their text stays. Pictures must be
    embedded (`data:` PNG, JPEG, GIF or WebP); links may point to http(s), mail or a section.
    """
    import bleach  # type: ignore[import-untyped] # comes with nbconvert and has no types
    from bleach.css_sanitizer import CSSSanitizer  # type: ignore[import-untyped] # the same

    cleaned = bleach.clean(
        _WITH_CONTENT.sub("", markup),
        tags=_TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        strip=True,
        strip_comments=True,
        css_sanitizer=CSSSanitizer(allowed_css_properties=_STYLES, allowed_svg_properties=frozenset()),
    )
    return str(cleaned)


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return all(_CLASS.fullmatch(word) for word in value.split())
    if name == "style":
        return True  # its properties are filtered one by one
    if name == "title":
        return tag in {"a", "abbr", "img", "span", "td", "th"}
    if tag == "a" and name == "href":
        return bool(_LINK.fullmatch(html.unescape(value).strip()))
    if tag == "img" and name == "src":
        return bool(_PICTURE.fullmatch(value))
    return name in _ATTRIBUTES.get(tag, ())
