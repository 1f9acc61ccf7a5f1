"""What a step of the pipeline changed, said in the log and counted: the pipeline does neither itself.

Knows which change is worth a line, and how loud. Must not know what is done about it.
"""

from __future__ import annotations

import logging

from sentinel.logs import log
from sentinel.metrics import Metrics
from sentinel.model import Event, Finding, Incident, Notification, Reason
from sentinel.pipeline import Step

__all__ = ["announce"]

_logger = logging.getLogger(__name__)


def announce(step: Step, metrics: Metrics) -> None:
    """One line for each event, in the order in which they follow from each other."""
    for note in step.notes:
        log(_logger, logging.WARNING, "Detectors start cold", why=note)
    for finding in step.findings:
        _anomaly(finding)
    for incident in step.incidents:
        if incident.sequence == 1:
            _opened(incident, metrics)
    for event in step.events:
        _history(event)
    for notification in step.notifications:
        _notifying(notification)


def _anomaly(finding: Finding) -> None:
    text = "Anomaly began" if finding.firing else "Anomaly ended"
    log(_logger, logging.INFO, text, target=finding.target, rule=finding.source, says=finding.summary)


def _opened(incident: Incident, metrics: Metrics) -> None:
    severity = incident.severity.name.lower()
    metrics.incidents_opened.labels(cause=incident.cause, severity=severity).inc()
    fields = {"target": incident.target, "cause": incident.cause, "severity": severity, "ref": incident.ref}
    log(_logger, logging.INFO, "Incident opened", **fields)


def _history(event: Event) -> None:
    """What is not told, and what people do; all else has a line of its own."""
    if event.kind in ("held", "not told"):
        log(_logger, logging.INFO, "Not told", ref="SNT-" + event.incident[-6:], why=event.text)
    elif event.kind == "status page":
        log(_logger, logging.WARNING, "About a status page", says=event.text)
    elif event.by:
        fields = {"by": event.by, "did": event.kind, "text": event.text}
        of = {"ref": "SNT-" + event.incident[-6:]} if event.incident else {}
        log(_logger, logging.INFO, "Somebody acted", **of, **fields)


def _notifying(notification: Notification) -> None:
    incident = notification.incident
    log(
        _logger,
        logging.INFO if notification.reason is Reason.RESOLVED else logging.WARNING,
        "Notifying",
        destination=notification.destination,
        reason=notification.reason,
        target=incident.target,
        cause=incident.cause,
        severity=incident.severity.name.lower(),
        ref=incident.ref,
        says=incident.finding.summary,
    )
