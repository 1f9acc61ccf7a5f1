"""Incidents as JSON: all that are open, and one with everything that its cause compared.

Knows incidents, and says each number both as it is and as people say it, so that whoever shows it says it the same.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sentinel.model import Culprit, Eta, Evidence, Incident
from sentinel.notifiers.wording import eta_in_words, measured, rfc3339, title
from sentinel.web.guard import answer, limit_of, refusal
from sentinel.web.view import View

__all__ = ["add_incidents"]


def add_incidents(app: web.Application, view: View) -> None:
    """Put the paths into an application.

    /api/v1/incidents       open incidents, the most urgent first; with ?state=all the newest ?limit=100, open or not
    /api/v1/incidents/ID    one of them or a former one, by id or by reference (SNT-…), and why it was concluded
    """

    async def every(request: web.Request) -> web.Response:
        state = request.query.get("state", "open")
        if state not in ("open", "all"):
            return refusal(400, f"`state` must be open or all, got {state[:40]!r}")
        limit = limit_of(request)
        if state == "all":
            found = list(await view.past_incidents(limit))
        else:
            found = sorted(view.open_incidents(), key=lambda incident: incident.urgency)
        return answer({"time": rfc3339(view.now()), "incidents": [_brief(incident) for incident in found]})

    async def one(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        incident = await view.incident(name)
        if incident is None:
            return refusal(404, f"no incident is called {name[:40]!r}; /api/v1/incidents lists those open")
        return answer(_brief(incident) | _explained(incident, view.now()))

    app.router.add_get("/api/v1/incidents", every)
    app.router.add_get("/api/v1/incidents/{name}", one)


def _brief(incident: Incident) -> dict[str, Any]:
    finding, culprit = incident.finding, incident.finding.culprit
    return {
        "id": incident.id,
        "ref": incident.ref,
        "dedup_key": incident.dedup_key,
        "target": incident.target,
        "cause": incident.cause,
        "subject": incident.subject,
        "severity": incident.severity.name.lower(),
        "state": incident.state,
        "opened_at": rfc3339(incident.opened),
        "updated_at": rfc3339(incident.updated),
        "occurrences": incident.occurrences,
        "flapping": incident.flapping,
        "acknowledged_at": rfc3339(incident.acknowledged),
        "acknowledged_by": incident.acknowledged_by,
        "context": incident.context,
        "summary": finding.summary,
        "eta": finding.eta and _eta(finding.eta),
        "culprit": culprit and {"name": culprit.name, "share": culprit.share, "detail": culprit.detail},
        "first_action": finding.first_action,
        "ruled_out": finding.ruled_out,
        "affected": finding.affected,
    }


def _explained(incident: Incident, now: float) -> dict[str, Any]:
    """What each test compared, and who was seen."""
    finding = incident.finding
    return {
        "time": rfc3339(now),
        "title": title(incident),
        "resolved_at": rfc3339(incident.resolved),
        "since": rfc3339(finding.since),
        "judged_at": rfc3339(finding.time),
        "value": finding.value,
        "score": finding.score,
        "threshold": finding.threshold,
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "eta": finding.eta and _eta(finding.eta) | {"said": eta_in_words(finding.eta, now)},
        "culprit": finding.culprit and _culprit(finding.culprit),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "name": evidence.name,
        "value": evidence.value,
        "unit": evidence.unit,
        "expected": evidence.expected,
        "said": measured(evidence),
    }


def _culprit(culprit: Culprit) -> dict[str, Any]:
    examples = [dict(row) for row in culprit.examples]
    return {"name": culprit.name, "share": culprit.share, "detail": culprit.detail, "examples": examples}


def _eta(eta: Eta) -> dict[str, Any]:
    return {"earliest": rfc3339(eta.earliest), "latest": rfc3339(eta.latest), "wall": eta.wall}
