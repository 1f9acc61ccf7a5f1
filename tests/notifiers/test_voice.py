"""Own words and links: what a template may use, and that one that fails never costs an alert."""

from __future__ import annotations

import pytest

from sentinel.model import Reason, Secret
from sentinel.notifiers.slack import Slack
from sentinel.notifiers.stdout import Stdout
from sentinel.notifiers.voice import Links, Templates
from sentinel.notifiers.wording import Link
from tests.notifiers.stories import leak, notification


def text(title: str = "", body: str = "", links: Links | None = None, reason: Reason = Reason.OPENED) -> str:
    told = Stdout(templates=Templates(title, body), links=links or Links())
    return told.message(notification(reason)).body.decode()


def test_a_title_of_ones_own_stands_in_place_of_the_built_in_one() -> None:
    assert text("[{{ severity | upper }}] {{ target }}: {{ cause }}").startswith("[WARNING] redis-a: leak · warning")


def test_a_body_of_ones_own_is_all_that_is_said_below_the_title_but_the_links() -> None:
    body = "{{ summary }}\n{% for line in evidence[:1] %}\n- {{ line }}\n{% endfor %}"
    assert text(body=body, links=Links(runbook_url="https://wiki.example/{cause}")).splitlines() == [
        f"Connection leak on redis-a · warning · {leak().ref}",
        "Connections rise by 37/min while traffic is flat: 1,200 of 10,000 in use.",
        "- floor of connected clients: 37/min, expected flat",
        "Runbook: https://wiki.example/leak",
        "",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "{{ evidence[99] }}",
        "{{ 1 / 0 }}",
        "{{ summary.nothing }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ evidence.append('x') }}",
        "{% for n in range(10000000) %}x{% endfor %}",
        "{% if false %}x{% endif %}",
    ],
)
def test_a_template_that_fails_leaves_the_built_in_words_and_is_told(body: str) -> None:
    message = Slack(url=Secret("https://hooks.example/x"), templates=Templates(body=body)).message(notification())
    assert b"Connections rise by 37/min" in message.body
    assert b"First action" in message.body
    assert message.failed_templates == ("body",)


def test_a_template_that_works_is_not_counted() -> None:
    assert Stdout(templates=Templates("{{ title }}")).message(notification()).failed_templates == ()


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{ summary", "^body is not a template: line 1: unexpected end of template"),
        ("{{ sumary }}", "^body uses sumary; only title, status, summary"),
        ("{% include 'x' %}{{ y }}", "^body uses y; only title"),
    ],
)
def test_a_template_that_can_never_work_is_refused_with_the_configuration(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Templates(body=template)


def test_links_name_the_incident_safely() -> None:
    links = Links("https://sentinel.example/i/{id}?t={target}", runbooks={"leak": "https://wiki.example/leaks"})
    odd = leak(target="a/b&c ü")
    assert links.of(odd) == (
        Link("Incident", f"https://sentinel.example/i/{odd.id}?t=a%2Fb%26c%20%C3%BC"),
        Link("Runbook", "https://wiki.example/leaks"),
    )


def test_the_runbook_of_a_cause_wins_over_the_general_one() -> None:
    links = Links(runbook_url="https://wiki.example/{cause}", runbooks={"leak": "https://wiki.example/special"})
    assert [link.url for link in links.of(leak())] == ["https://wiki.example/special"]
    assert [link.url for link in links.of(leak(cause="flood"))] == ["https://wiki.example/flood"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("wiki.example/x", "^page_url must begin with https://"),
        ("https://wiki.example/{name}", r"^page_url holds \{name\}; only \{id\}, \{ref\}"),
        ("https://wiki.example/{id.__class__}", r"^page_url holds \{id.__class__\}; only"),
        ("https://wiki.example/{", r"^page_url holds \{\}; only"),
    ],
)
def test_a_link_that_cannot_be_filled_in_is_refused_with_the_configuration(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Links(page_url=url)
