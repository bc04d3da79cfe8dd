from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from hafailover.observe.markup import MAX_TEXT, Markup, join, parts, table, tag, text


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.data = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.data += data


@given(st.text(), st.text())
def test_no_text_from_outside_becomes_markup(inner: str, attribute: str) -> None:
    seen = Reader(tag("p", inner, title=attribute))

    assert seen.tags == ["p"]
    assert list(seen.attributes[0]) == ["title"]
    assert "\n" not in seen.data
    assert len(seen.data) <= MAX_TEXT + 1


def test_an_attack_is_text() -> None:
    attack = "</p><script>x()</script><a href='javascript:x'>\" onload=x"

    assert tag("p", attack) == (
        "<p>&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;&lt;a href=&#x27;javascript:x&#x27;&gt;&quot; onload=x</p>"
    )
    assert Reader(tag("p", class_=attack)).attributes == [{"class": attack}]


def test_a_text_is_one_line_of_bounded_length_that_cannot_turn_around() -> None:
    assert text("a\x00\u202eb\nc") == "a??b?c"
    assert text(None) == text("") == "-"
    assert text("x" * 10_000) == "x" * MAX_TEXT + "…"
    assert text(7) == "7"


def test_markup_is_left_as_it_is() -> None:
    assert tag("p", tag("b", "<"), Markup("&amp;"), "", "&") == "<p><b>&lt;</b>&amp;&amp;</p>"
    assert join(("<", tag("i", "x"), ""), ", ") == "&lt;, <i>x</i>, "


def test_attributes_are_named_as_python_allows() -> None:
    assert tag("p", class_="a", data_head="b", hidden=None) == '<p class="a" data-head="b"></p>'
    assert tag("rect", x="1%") == '<rect x="1%"/>'
    assert tag("meta", name="n") == '<meta name="n"/>'


def test_a_table_tells_each_cell_its_head() -> None:
    made = table(("A", "B"), [("1", tag("b", "2"))], "T")

    assert "<caption>T</caption>" in made
    assert '<td data-head="A">1</td><td data-head="B"><b>2</b></td>' in made
    assert "caption" not in table(("A",), [])


def test_a_list_that_is_missing_is_empty() -> None:
    assert parts({}, "x") == parts({"x": None}, "x") == ()
    assert parts({"x": [{}]}, "x") == [{}]
