"""A page as a browser's parser sees it: elements with attributes, text, scripts."""

from __future__ import annotations

import json
from html.parser import HTMLParser

LOADING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping", "manifest"}


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.scripts, self.blocks, self.styles = [], [], [], {}, []
        self.stack = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self.stack[-1] if self.stack else ("", {})
        if tag == "script" and attributes.get("type") == "application/json":
            self.blocks[attributes["id"]] = json.loads(data)
        elif tag == "script":
            self.scripts.append(data)
        elif tag == "style":
            self.styles.append(data)
        elif data.strip() and "body" in {name for name, _ in self.stack}:
            self.texts.append(data.strip())

    def named(self, wanted):
        return [attributes for tag, attributes in self.elements if tag == wanted]

    def classed(self, wanted):
        return [a for _, a in self.elements if wanted in (a.get("class") or "").split()]

    @property
    def text(self):
        return " ".join(self.texts)
