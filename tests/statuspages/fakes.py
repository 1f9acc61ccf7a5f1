"""Strict doubles of the status pages' APIs, written from reference/delivery.md 5: they keep incidents and components,
refuse what the vendor refuses, and misbehave when told to (see `tests.notifiers.fakes.Fake`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import orjson
from aiohttp import web

from tests.notifiers.fakes import Fake, wrong

__all__ = [
    "FakeBetterStack",
    "FakeCachet",
    "FakeCachet2",
    "FakeGitHub",
    "FakeIncidentIo",
    "FakeInstatus",
    "FakeOneUptime",
    "FakePage",
    "FakeStatuspage",
]

KEY = "page-api-key-0123456789"

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
Check = Callable[[Any], bool]


def _text(limit: int) -> Check:
    return lambda value: isinstance(value, str) and 0 < len(value) <= limit


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _iso(value: Any) -> bool:
    return isinstance(value, str) and bool(_ISO.fullmatch(value))


class FakePage(Fake):
    """Incidents by id, each with the updates that were written to it, oldest first."""

    secret: tuple[str, str]
    """Header and value without which there is a 401."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, dict[str, Any]] = {}
        self.components = {"1001": "", "1002": ""}
        self.mails = 0
        self._made = 0

    def judge(self, request: web.Request, body: bytes) -> web.Response:
        name, value = self.secret
        if request.headers.get(name) != value:
            return web.json_response({"error": "Could not authenticate"}, status=401)
        document = orjson.loads(body) if body else None
        path = unquote(request.raw_path.partition("?")[0])
        return self.route(request.method, path.removeprefix("/hook/TOKEN-in-the-path"), request.query, document)

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        raise NotImplementedError

    def number(self) -> str:
        """A new id."""
        self._made += 1
        return str(9000 + self._made)

    def person_edits(self, incident: str) -> None:
        """Somebody adds an update by hand."""
        raise NotImplementedError

    def person_deletes(self, incident: str) -> None:
        del self.incidents[incident]

    def stages(self, incident: str) -> list[str]:
        """The stages of an incident's updates, in neutral words, oldest first."""
        raise NotImplementedError


class FakeStatuspage(FakePage):
    """Atlassian Statuspage: every change of status or body is a public update."""

    secret = ("Authorization", f"OAuth {KEY}")
    _STATUS = ("operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage")

    def __init__(self) -> None:
        super().__init__()
        self.components = {"1001": "operational", "1002": "operational"}

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        prefix = "/pages/pg1/"
        assert path.startswith(prefix)
        what, _, rest = path.removeprefix(prefix).partition("/")
        if what == "components":
            return self._component(method, rest, document)
        if method == "GET" and rest == "unresolved":
            found = [each for each in self.incidents.values() if each["status"] != "resolved"]
            return web.json_response(found[::-1])
        if method == "GET":
            found_one = self.incidents.get(rest)
            return web.json_response(found_one or {"error": "not found"}, status=200 if found_one else 404)
        return self._write(method, rest, document["incident"])

    def _component(self, method: str, component: str, document: Any) -> web.Response:
        if component not in self.components:
            return web.json_response({"error": "not found"}, status=404)
        if method == "PATCH":
            assert document["component"]["status"] in self._STATUS
            self.components[component] = document["component"]["status"]
        return web.json_response({"id": component, "status": self.components[component]})

    def _write(self, method: str, identity: str, incident: dict[str, Any]) -> web.Response:
        fields: dict[str, Check] = {
            "name": _text(255),
            "status": lambda v: v in ("investigating", "identified", "monitoring", "resolved"),
            "body": _text(25_000),
            "deliver_notifications": _flag,
            "components": lambda v: all(c in self.components and s in self._STATUS for c, s in v.items()),
            "component_ids": lambda v: isinstance(v, list),
            "metadata": lambda v: all(isinstance(inner, dict) for inner in v.values()),
            "reminder_intervals": lambda v: isinstance(v, str),
        }
        required = ("name", "deliver_notifications") if method == "POST" else ("deliver_notifications",)
        if errors := wrong(incident, fields, required):
            return web.json_response({"error": errors}, status=422)
        if method == "POST":
            identity = self.number()
            self.incidents[identity] = {"id": identity, "incident_updates": [], "metadata": incident["metadata"]}
        kept = self.incidents[identity]
        kept["status"] = incident["status"]
        update = {"id": self.number(), "status": incident["status"], "body": incident["body"]}
        kept["incident_updates"].insert(0, update)
        self.components |= incident.get("components", {})
        self.mails += incident["deliver_notifications"]
        self.accept(incident)
        return web.json_response(kept, status=201 if method == "POST" else 200)

    def person_edits(self, incident: str) -> None:
        update = {"id": self.number(), "status": "identified", "body": "We found it."}
        self.incidents[incident]["incident_updates"].insert(0, update)

    def stages(self, incident: str) -> list[str]:
        return [update["status"] for update in reversed(self.incidents[incident]["incident_updates"])]


class FakeInstatus(FakePage):
    """Instatus: drafts, and an update for each change."""

    secret = ("Authorization", f"Bearer {KEY}")
    _STATUS = ("OPERATIONAL", "DEGRADEDPERFORMANCE", "PARTIALOUTAGE", "MINOROUTAGE", "MAJOROUTAGE", "UNDERMAINTENANCE")

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        rest = path.removeprefix("/v1/pg1/")
        if rest.startswith("components/"):
            self.components[rest.removeprefix("components/")] = document["status"]
            return web.json_response({})
        _, _, identity = rest.partition("incidents")
        identity, _, updates = identity.removeprefix("/").partition("/")
        if method == "GET" and not identity:
            assert query["!status"] == "RESOLVED"
            return web.json_response([each for each in self.incidents.values() if each["status"] != "RESOLVED"][::-1])
        if identity and identity not in self.incidents:
            return web.json_response({"error": "not found"}, status=404)
        if method == "GET":
            return web.json_response(self.incidents[identity])
        if method == "PUT":
            self.incidents[identity]["shouldPublish"] = document["shouldPublish"]
            return web.json_response(self.incidents[identity])
        assert updates == ("incident-updates" if identity else "")
        return self._write(identity, document)

    def _write(self, identity: str, document: dict[str, Any]) -> web.Response:
        fields: dict[str, Check] = {
            "name": _text(500),
            "message": _text(50_000),
            "status": lambda v: v in ("INVESTIGATING", "IDENTIFIED", "MONITORING", "RESOLVED"),
            "started": _iso,
            "notify": _flag,
            "shouldPublish": _flag,
            "components": lambda v: all(c in self.components for c in v),
            "statuses": lambda v: all(s["id"] in self.components and s["status"] in self._STATUS for s in v),
        }
        if errors := wrong(document, fields, ("message", "started") if identity else ("name",)):
            return web.json_response({"error": errors}, status=422)
        if not identity:
            identity = self.number()
            kept = {key: document[key] for key in ("name", "started", "shouldPublish", "message")}
            self.incidents[identity] = {"id": identity, "updates": [], **kept}
        kept = self.incidents[identity]
        kept["status"] = document["status"]
        kept["updates"].append({"id": self.number(), "status": document["status"], "message": document["message"]})
        self.components |= {each["id"]: each["status"] for each in document["statuses"]}
        self.mails += document["notify"]
        self.accept(document)
        return web.json_response(kept)

    def person_edits(self, incident: str) -> None:
        update = {"id": self.number(), "status": "IDENTIFIED", "message": "We found it."}
        self.incidents[incident]["updates"].append(update)

    def stages(self, incident: str) -> list[str]:
        return [update["status"].lower() for update in self.incidents[incident]["updates"]]


class FakeBetterStack(FakePage):
    """Better Stack: reports without stages; one is over when every resource of its last update is resolved."""

    secret = ("Authorization", f"Bearer {KEY}")

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        rest = path.removeprefix("/status-pages/77/status-reports").removeprefix("/")
        identity, _, updates = rest.partition("/")
        if identity and identity not in self.incidents:
            return web.json_response({"errors": "Resource with provided ID was not found"}, status=404)
        if method == "GET" and updates:
            found = [
                {"id": u["id"], "attributes": {"message": u["message"]}} for u in self.incidents[identity]["updates"]
            ]
            return web.json_response({"data": found, "pagination": {"next": None}})
        if method == "GET" and identity:
            return web.json_response({"data": self._shown(identity)})
        if method == "GET":
            return web.json_response({"data": [self._shown(each) for each in self.incidents], "pagination": {}})
        return self._write(identity, document)

    def _shown(self, identity: str) -> dict[str, Any]:
        kept = self.incidents[identity]
        over = self.stages(identity)[-1] == "resolved"
        state = {
            "ends_at": "2026-01-01T00:00:00Z" if over else None,
            "aggregate_state": "resolved" if over else "downtime",
        }
        return {"id": identity, "attributes": {"title": kept["title"], "starts_at": kept["starts_at"], **state}}

    def _write(self, identity: str, document: dict[str, Any]) -> web.Response:
        states = ("resolved", "degraded", "downtime")
        fields: dict[str, Check] = {
            "title": _text(500),
            "message": _text(50_000),
            "report_type": lambda v: v == "manual",
            "starts_at": _iso,
            "notify_subscribers": _flag,
            "affected_resources": lambda v: (
                bool(v) and all(r["status_page_resource_id"] in self.components and r["status"] in states for r in v)
            ),
        }
        required = ("message", "affected_resources") if identity else ("title", "affected_resources")
        if errors := wrong(document, fields, required):
            return web.json_response({"errors": str(errors)}, status=422)
        if not identity:
            identity = self.number()
            self.incidents[identity] = {"updates": [], "title": document["title"], "starts_at": document["starts_at"]}
        self.incidents[identity]["updates"].append({"id": self.number(), **document})
        self.mails += document["notify_subscribers"]
        self.accept(document)
        return web.json_response({"data": {"id": identity}}, status=201)

    def person_edits(self, incident: str) -> None:
        update = {"id": self.number(), "message": "We found it.", "affected_resources": [{"status": "downtime"}]}
        self.incidents[incident]["updates"].append(update)

    def stages(self, incident: str) -> list[str]:
        return [
            "resolved" if all(r["status"] == "resolved" for r in update["affected_resources"]) else "open"
            for update in self.incidents[incident]["updates"]
        ]


class FakeIncidentIo(FakePage):
    """incident.io: a key that is used again gets the first answer."""

    secret = ("Authorization", f"Bearer {KEY}")
    _STATUS = ("operational", "degraded_performance", "partial_outage", "full_outage", "under_maintenance")

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, str] = {}

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        what, _, identity = path.removeprefix("/v2/").partition("/")
        if method == "GET":
            found = self.incidents.get(identity)
            return web.json_response({"status_page_incident": found} if found else {}, status=200 if found else 404)
        if what == "status_page_incidents":
            return self._create(document)
        return self._update(document)

    def _create(self, document: dict[str, Any]) -> web.Response:
        fields = {"idempotency_key": _text(100), "status_page_id": lambda v: v == "pg1", "name": _text(200)}
        if errors := wrong(document, fields | self._common(), tuple(fields)):
            return web.json_response({"type": "validation_error", "errors": errors}, status=422)
        identity = self.keys.setdefault(document["idempotency_key"], "")
        if not identity:
            identity = self.keys[document["idempotency_key"]] = self.number()
            self.incidents[identity] = {"id": identity, "updates": []}
            self._add(identity, document)
        return web.json_response({"status_page_incident": self.incidents[identity]}, status=201)

    def _update(self, document: dict[str, Any]) -> web.Response:
        identity = document.get("status_page_incident_id", "")
        fields = {"status_page_incident_id": lambda v: v in self.incidents}
        errors = wrong(document, fields | self._common(), ("message", *fields))
        over = document.get("incident_status") == "resolved"
        if errors or (over and "component_statuses" in document) or len(self.incidents[identity]["updates"]) >= 100:
            return web.json_response({"type": "validation_error", "errors": errors}, status=422)
        self._add(identity, document)
        return web.json_response({"status_page_incident": self.incidents[identity]}, status=201)

    def _common(self) -> dict[str, Check]:
        return {
            "incident_status": lambda v: v in ("investigating", "identified", "monitoring", "resolved"),
            "message": _text(4096),
            "component_statuses": lambda v: all(
                c["component_id"] in self.components and c["component_status"] in self._STATUS for c in v
            ),
            "notify_subscribers": _flag,
        }

    def _add(self, identity: str, document: dict[str, Any]) -> None:
        update = {"id": self.number(), "message": document["message"], "incident_status": document["incident_status"]}
        self.incidents[identity]["updates"].append(update)
        self.mails += document["notify_subscribers"]
        self.accept(document)

    def person_edits(self, incident: str) -> None:
        update = {"id": self.number(), "message": "We found it.", "incident_status": "identified"}
        self.incidents[incident]["updates"].append(update)

    def stages(self, incident: str) -> list[str]:
        return [update["incident_status"] for update in self.incidents[incident]["updates"]]


class FakeCachet(FakePage):
    """Cachet 3: hidden unless told otherwise, found by metadata, components with the incident only."""

    secret = ("Authorization", f"Bearer {KEY}")
    _STAGES: ClassVar = {1: "investigating", 2: "identified", 3: "monitoring", 4: "resolved"}

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        rest = path.removeprefix("/api/")
        if rest.startswith("components/"):
            self.components[rest.removeprefix("components/")] = document["status"]
            return web.json_response({"data": {}})
        identity, _, updates = rest.removeprefix("incidents").removeprefix("/").partition("/")
        if identity and identity not in self.incidents:
            return web.json_response({"message": "not found"}, status=404)
        if method == "GET" and updates:
            found = [{"id": u["id"], "attributes": u} for u in self.incidents[identity]["updates"]]
            return web.json_response({"data": found})
        if method == "GET" and identity:
            return web.json_response({"data": self._shown(identity)})
        if method == "GET":
            key = query["filter[meta][sentinel_key]"]
            ours = [each for each, kept in self.incidents.items() if kept["meta"]["sentinel_key"] == key]
            return web.json_response({"data": [self._shown(each) for each in reversed(ours)]})
        if method == "PUT":
            self.incidents[identity]["visible"] = document["visible"]
            return web.json_response({"data": self._shown(identity)})
        return self._update(identity, document) if identity else self._create(document)

    def _shown(self, identity: str) -> dict[str, Any]:
        kept = self.incidents[identity]
        newest = kept["updates"][-1]["status"] if kept["updates"] else kept["status"]
        return {"id": identity, "attributes": {"message": kept["message"], "status": {"value": newest}}}

    def _create(self, document: dict[str, Any]) -> web.Response:
        fields: dict[str, Check] = {
            "name": _text(255),
            "status": lambda v: v in (0, 1, 2, 3, 4),
            "message": _text(50_000),
            "visible": _flag,
            "notifications": _flag,
            "occurred_at": _iso,
            "components": lambda v: all(str(c["id"]) in self.components and c["status"] in range(1, 7) for c in v),
            "meta": lambda v: isinstance(v, dict),
        }
        if errors := wrong(document, fields, ("name", "status", "message")):
            return web.json_response({"message": errors}, status=422)
        identity = self.number()
        self.incidents[identity] = {"updates": [], **document}
        self.mails += document["notifications"]
        self.accept(document)
        return web.json_response({"data": {"id": identity}}, status=201)

    def _update(self, identity: str, document: dict[str, Any]) -> web.Response:
        fields: dict[str, Check] = {"status": lambda v: v in (1, 2, 3, 4), "message": _text(50_000)}
        if errors := wrong(document, fields, tuple(fields)):
            return web.json_response({"message": errors}, status=422)
        number = self.number()
        self.incidents[identity]["updates"].append({"id": number, **document})
        self.accept(document)
        return web.json_response({"data": {"id": number}}, status=201)

    def person_edits(self, incident: str) -> None:
        self.incidents[incident]["updates"].append({"id": self.number(), "status": 2, "message": "We found it."})

    def stages(self, incident: str) -> list[str]:
        kept = self.incidents[incident]
        return [self._STAGES[status] for status in (kept["status"], *(u["status"] for u in kept["updates"]))]


class FakeCachet2(FakePage):
    """Cachet 2: an incident has one component, and booleans that are left out become true."""

    secret = ("X-Cachet-Token", KEY)

    def __init__(self) -> None:
        super().__init__()
        self.components = {"1001": 1, "1002": 1}  # type: ignore[dict-item]

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        rest = path.removeprefix("/api/v1/")
        if rest.startswith("components/"):
            component = rest.removeprefix("components/")
            if method == "PUT":
                self.components[component] = document["status"]
            return web.json_response({"data": {"id": component, "status": str(self.components[component])}})
        identity, _, updates = rest.removeprefix("incidents").removeprefix("/").partition("/")
        if identity and identity not in self.incidents:
            return web.json_response({"errors": [{"title": "Resource not found"}]}, status=404)
        if method == "GET" and updates:
            return web.json_response({"data": self.incidents[identity]["updates"]})
        if method == "GET" and identity:
            return web.json_response({"data": self._shown(identity)})
        if method == "GET":
            return web.json_response({"data": [self._shown(each) for each in reversed(self.incidents)]})
        if method == "PUT":
            self.incidents[identity] |= {"visible": bool(document.get("visible", 1))}
            self.mails += document.get("notify", True)
            return web.json_response({"data": self._shown(identity)})
        return self._write(identity, document)

    def _shown(self, identity: str) -> dict[str, Any]:
        kept = self.incidents[identity]
        status = kept["updates"][-1]["status"] if kept["updates"] else kept["status"]
        return {"id": identity, "message": kept["message"], "status": str(status)}

    def _write(self, identity: str, document: dict[str, Any]) -> web.Response:
        if identity:
            number = self.number()
            self.incidents[identity]["updates"].append({"id": number, **document})
            self.accept(document)
            return web.json_response({"data": {"id": number}})
        fields: dict[str, Check] = {
            "name": _text(255),
            "message": _text(50_000),
            "status": lambda v: v in (0, 1, 2, 3, 4),
            "visible": lambda v: v in (0, 1),
            "notify": _flag,
            "stickied": _flag,
            "component_id": lambda v: str(v) in self.components,
            "component_status": lambda v: v in (1, 2, 3, 4),
        }
        if errors := wrong(document, fields, ("name", "message", "status", "visible")):
            return web.json_response({"errors": errors}, status=400)
        identity = self.number()
        self.incidents[identity] = {"updates": [], **document, "visible": bool(document["visible"])}
        self.components[str(document["component_id"])] = document["component_status"]
        self.mails += document.get("notify", True)
        self.accept(document)
        return web.json_response({"data": {"id": identity}})

    def person_edits(self, incident: str) -> None:
        self.incidents[incident]["updates"].append({"id": self.number(), "status": 2, "message": "We found it."})

    def stages(self, incident: str) -> list[str]:
        kept = self.incidents[incident]
        names = {1: "investigating", 2: "identified", 3: "monitoring", 4: "resolved"}
        return [names[status] for status in (kept["status"], *(u["status"] for u in kept["updates"]))]


class FakeOneUptime(FakePage):
    """OneUptime: everything is wrapped in `data`, reading is a POST, and a state is a row of its own."""

    secret = ("ApiKey", KEY)

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        what, _, rest = path.removeprefix("/api/").partition("/")
        if rest == "get-list":
            return web.json_response({"data": self._listed(what, document["query"])})
        if method == "PUT":
            self.incidents[rest]["visible"] = document["data"]["isVisibleOnStatusPage"]
            return web.json_response({})
        data = document["data"]
        if what == "incident":
            return self._create(data)
        if what == "incident-public-note":
            self.mails += data["shouldStatusPageSubscribersBeNotifiedOnNoteCreated"]
            note = {"_id": self.number(), "note": data["note"]}
            self.incidents[data["incidentId"]]["notes"].append(note)
            self.accept(data)
            return web.json_response(note)
        assert (what, data["incidentStateId"]) == ("incident-state-timeline", "state-resolved")
        self.incidents[data["incidentId"]]["resolved"] = True
        return web.json_response({})

    def _listed(self, what: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        if what == "incident-state":
            return [{"_id": "state-resolved"}]
        if what == "incident-public-note":
            return self.incidents[query["incidentId"]]["notes"][::-1]
        found = [
            {
                "_id": identity,
                "description": kept["description"],
                "currentIncidentState": {"isResolvedState": kept["resolved"]},
            }
            for identity, kept in self.incidents.items()
            if query in ({"_id": identity}, {"title": kept["title"]})
        ]
        return found[::-1]

    def _create(self, data: dict[str, Any]) -> web.Response:
        fields: dict[str, Check] = {
            "title": _text(500),
            "description": _text(50_000),
            "incidentSeverityId": lambda v: v == "sev1",
            "monitors": lambda v: all(m["_id"] in self.components for m in v),
            "isVisibleOnStatusPage": _flag,
            "shouldStatusPageSubscribersBeNotifiedOnIncidentCreated": _flag,
        }
        if errors := wrong(data, fields, ("title", "incidentSeverityId")):
            return web.json_response({"message": errors}, status=400)
        identity = self.number()
        self.incidents[identity] = {
            "title": data["title"],
            "description": data["description"],
            "visible": data["isVisibleOnStatusPage"],
            "notes": [],
            "resolved": False,
        }
        self.mails += data["shouldStatusPageSubscribersBeNotifiedOnIncidentCreated"]
        self.accept(data)
        return web.json_response({"_id": identity})

    def person_edits(self, incident: str) -> None:
        self.incidents[incident]["notes"].append({"_id": self.number(), "note": "We found it."})

    def stages(self, incident: str) -> list[str]:
        kept = self.incidents[incident]
        ends = ["resolved"] if kept["resolved"] else []
        return ["investigating", *("note" for _ in kept["notes"][: -1 if ends else None]), *ends]


class FakeGitHub(FakePage):
    """A repository: files with the sha of their content, issues with labels, comments and locks."""

    secret = ("Authorization", f"Bearer {KEY}")

    def route(self, method: str, path: str, query: Mapping[str, str], document: Any) -> web.Response:
        what, _, rest = path.removeprefix("/repos/acme/status/").partition("/")
        if what == "contents":
            return self._file(method, rest, document)
        number, _, more = rest.partition("/")
        if not number and method == "GET":
            assert query["state"] == "open"
            labels = set(query["labels"].split(","))
            return web.json_response(
                [i for i in self.incidents.values() if labels <= set(i["labels"]) and i["state"] == "open"]
            )
        if not number:
            return self._open_issue(document)
        if number not in self.incidents:
            return web.json_response({"message": "Not Found"}, status=404)
        return self._issue(method, number, more, document)

    def _file(self, method: str, path: str, document: Any) -> web.Response:
        kept = self.incidents.get(path)
        if method == "GET" and path == "content/issues":
            files = [{"name": name.rpartition("/")[2], "path": name, "type": "file"} for name in self.incidents]
            return web.json_response(files) if files else web.json_response({"message": "Not Found"}, status=404)
        if method == "GET":
            return web.json_response(kept[-1]) if kept else web.json_response({"message": "Not Found"}, status=404)
        assert document["branch"] == "main"
        if kept and "sha" not in document:
            return web.json_response({"message": '"sha" wasn\'t supplied.'}, status=422)
        if kept and document["sha"] != kept[-1]["sha"]:
            return web.json_response({"message": f"{path} does not match {document['sha']}"}, status=409)
        version = {"content": document["content"], "sha": f"{int(self.number()):040x}"}
        self.incidents.setdefault(path, []).append(version)  # type: ignore[arg-type]
        self.accept({"text": base64.b64decode(document["content"]).decode()})
        return web.json_response({"content": version}, status=200 if kept else 201)

    def _open_issue(self, document: dict[str, Any]) -> web.Response:
        number = self.number()
        issue = {"number": int(number), "state": "open", "locked": False, "comments_made": [], **document}
        self.incidents[number] = issue
        self.accept(document)
        return web.json_response(issue, status=201)

    def _issue(self, method: str, number: str, more: str, document: Any) -> web.Response:
        issue = self.incidents[number]
        match method, more:
            case "GET", "":
                return web.json_response(issue)
            case "GET", "comments":
                return web.json_response(issue["comments_made"])
            case "POST", "comments" if not issue["locked"]:
                comment = {"id": int(self.number()), **document}
                issue["comments_made"].append(comment)
                self.accept(document)
                return web.json_response(comment, status=201)
            case "PATCH", "":
                issue |= document
                return web.json_response(issue)
            case (("PUT" | "DELETE"), "lock"):
                issue["locked"] = method == "PUT"
                return web.Response(status=204)
        return web.json_response({"message": "Issue is locked"}, status=403)

    def person_edits(self, incident: str) -> None:
        kept: Any = self.incidents[incident]
        if isinstance(kept, list):
            kept.append({**kept[-1], "sha": f"{int(self.number()):040x}"})
        else:
            kept["comments_made"].append({"id": int(self.number()), "body": "We found it."})

    def stages(self, incident: str) -> list[str]:
        kept: Any = self.incidents[incident]
        if isinstance(kept, list):
            texts = [base64.b64decode(version["content"]).decode() for version in kept]
            return ["resolved" if "\nresolved: true\n" in text else "open" for text in texts]
        ends = ["resolved"] if kept["state"] == "closed" else []
        return ["open", *("comment" for _ in kept["comments_made"][: -1 if ends else None]), *ends]
