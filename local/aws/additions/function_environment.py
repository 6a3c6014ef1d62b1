"""The environment variables by which Lambda tells a custom runtime its logging configuration.

AWS documentation, "Defined runtime environment variables" and "Advanced logging controls";
ministack stores `LoggingConfig` and says nothing to the function.
"""

from typing import Any

from ministack.services import lambda_svc

from additions.wrapping import wrap


def install() -> None:
    wrap(lambda_svc, "_provided_worker_env", _provided_worker_env)


def _provided_worker_env(worker_env: Any, config: dict[str, Any], *rest: Any) -> dict[str, str]:
    logging = config.get("LoggingConfig") or {}
    name = config.get("FunctionName", "")
    environment = {
        **worker_env(config, *rest),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_FORMAT": "JSON" if logging.get("LogFormat") == "JSON" else "Text",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    }
    if logging.get("ApplicationLogLevel"):
        environment["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
    return environment
