"""Lambda's filter of application logs by level.

Source: Lambda guide, "Log-level filtering". It is for functions with JSON logs; the level is INFO unless the function's
LoggingConfig names another. A line tells its level by `level`, and only with a `timestamp` as in RFC 3339; one without
either, and a line that is no JSON object, is taken for INFO.
"""

import json
from datetime import datetime
from typing import Any

from ministack.services import lambda_svc

from additions.wrapping import wrap

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def install() -> None:
    wrap(lambda_svc, "_emit_lambda_logs", _emit_lambda_logs)


def _emit_lambda_logs(
    emit: Any, function: dict[str, Any], request_id: str, text: str, *rest: Any, **named: Any
) -> None:
    logging = (function.get("config") or function).get("LoggingConfig") or {}
    if logging.get("LogFormat") == "JSON" and text:
        least = _LEVELS.index(logging.get("ApplicationLogLevel") or "INFO")
        text = "\n".join(line for line in text.splitlines() if _level(line) >= least)
    emit(function, request_id, text, *rest, **named)


def _level(line: str) -> int:
    try:
        fields = json.loads(line)
        datetime.fromisoformat(fields["timestamp"].replace("Z", "+00:00"))
        return _LEVELS.index(fields["level"].upper())
    except (ValueError, TypeError, KeyError, AttributeError):
        return _LEVELS.index("INFO")
