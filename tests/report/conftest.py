"""What the tests of all pages ask of a page."""

import base64
from html.parser import HTMLParser

import pytest

VOID = {"meta", "link", "img", "input", "br"}


class Parsed(HTMLParser):
    """Elements with their attributes, and that each is closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def check_page():
    """What every page must meet; returns its elements."""
    return _checked


def _checked(text):
    parsed = Parsed(text)
    assert len(parsed.all("h1")) == 1
    assert all(image["alt"].strip() for image in parsed.all("img"))
    assert all(head["scope"] in ("col", "row") for head in parsed.all("th"))
    assert all(chart["aria-label"].strip() for chart in parsed.all("svg") if chart.get("role") == "img")
    assert "http" not in text and "url(" not in text.replace("url(#", "") and "@import" not in text
    for tag, attributes in parsed.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), f"{tag} asks for {attributes[name]}"
    names = [attributes["id"] for tag, attributes in parsed.elements if "id" in attributes and tag != "clippath"]
    assert len(names) == len(set(names))
    assert {a["href"][1:] for a in parsed.all("a") if a["href"].startswith("#")} <= set(names)
    assert text.count("<dt>") >= 4 + 1, "four key figures and the provenance"
    return parsed


@pytest.fixture(scope="session")
def downloads():
    """The files inside a page by name."""
    return _downloads


def _downloads(parsed):
    links = [link for link in parsed.all("a") if "download" in link]
    return {link["download"]: base64.b64decode(link["href"].partition("base64,")[2]) for link in links}
