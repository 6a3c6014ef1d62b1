"""`POST /_local/service-event`: an event of an AWS service, which nobody else may put on the bus.

Request: `{"source": "aws.…", "detail-type", "detail"}`. For services that ministack does not model or whose events it
does not send.
"""

import json
from typing import Any

from ministack.services import eventbridge

from additions import control


def install() -> None:
    control.register("service-event", _put)


def _put(request: dict[str, Any]) -> dict[str, Any]:
    for field in ("source", "detail-type", "detail"):
        if field not in request:
            raise ValueError(f"'{field}' is missing")
    entry = {
        "Source": request["source"],
        "DetailType": request["detail-type"],
        "Detail": json.dumps(request["detail"]),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    return {}
