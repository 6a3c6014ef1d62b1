"""The CloudFormation resource AWS::Lightsail::Container, on the Lightsail API at AWS_ENDPOINT_URL_LIGHTSAIL.

Follows the published resource handler (aws-cloudformation-resource-providers-lightsail) and the
resource schema: create is CreateContainerService without the image puller, wait, then the
update; an update always sends `privateRegistryAccess`, inactive when the template does not say;
READY, RUNNING and DISABLED are stable, whatever became of a deployment; a template without
`ContainerServiceDeployment` never deploys; only ServiceName is replaced.
"""

import asyncio
import os
import threading
import time
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from ministack.core.responses import get_region
from ministack.services.cloudformation import provisioners, stacks

from additions.wrapping import wrap

TYPE = "AWS::Lightsail::Container"
_STABLE = {"READY", "RUNNING", "DISABLED"}
_STABLE_WITHIN_SECONDS = 300
_POLL_SECONDS = 0.1

Properties = dict[str, Any]


def install() -> None:
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}
    provisioners._REPLACING_PROPERTIES[TYPE] = ("ServiceName",)
    provisioners._STACK_TAG_PROPERTY[TYPE] = ("Tags", "list")
    # The Lightsail API asks ministack what a caller may do, so the event loop must not wait for it.
    wrap(stacks, "_runs_on_worker_thread", lambda runs, resource_type: resource_type == TYPE or runs(resource_type))


def _create(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, dict[str, str]]:
    name = properties["ServiceName"]
    client = _client()
    client.create_container_service(
        serviceName=name,
        power=properties["Power"],
        scale=int(properties["Scale"]),
        **_domain_names(properties),
        tags=[_lower_first(tag) for tag in properties.get("Tags") or []],
    )
    _wait_until_stable(client, name)
    return _update(name, {}, properties, _stack)


def _update(name: str, _old: Properties, properties: Properties, _stack: str) -> tuple[str, dict[str, str]]:
    client = _client()
    _deploy_if_declared(client, name, properties)
    client.update_container_service(
        serviceName=name,
        power=properties["Power"],
        scale=int(properties["Scale"]),
        isDisabled=_is_true(properties.get("IsDisabled")),
        **_domain_names(properties),
        privateRegistryAccess={"ecrImagePullerRole": {"isActive": _is_puller_active(properties)}},
    )
    return name, _attributes(_wait_until_stable(client, name))


def _delete(name: str, _properties: Properties) -> None:
    if _is_event_loop():  # Where ministack deletes the predecessor of a replacement.
        threading.Thread(target=_delete_and_wait, args=(name, _client()), daemon=True).start()
    else:
        _delete_and_wait(name, _client())


def _is_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _delete_and_wait(name: str, client: Any) -> None:
    try:
        client.delete_container_service(serviceName=name)
        _wait(lambda: _service(client, name) is None, f"container service {name} was not deleted")
    except ClientError as error:
        if not _is_gone(error):
            raise ValueError(str(error)) from error


def _deploy_if_declared(client: Any, name: str, properties: Properties) -> None:
    declared = properties.get("ContainerServiceDeployment")
    if not declared:
        return
    containers = {container["ContainerName"]: _container(container) for container in declared["Containers"]}
    current = _there(client, name).get("currentDeployment") or {}
    if containers == current.get("containers"):
        return
    endpoint = declared.get("PublicEndpoint")
    client.create_container_service_deployment(
        serviceName=name,
        containers=containers,
        **({"publicEndpoint": _public_endpoint(endpoint)} if endpoint else {}),
    )
    _wait_until_stable(client, name)


def _container(declared: Properties) -> dict[str, Any]:
    return {
        "image": declared["Image"],
        "command": declared.get("Command") or [],
        "environment": {entry["Variable"]: entry["Value"] for entry in declared.get("Environment") or []},
        "ports": {str(entry["Port"]): entry["Protocol"] for entry in declared.get("Ports") or []},
    }


def _public_endpoint(declared: Properties) -> dict[str, Any]:
    check = declared.get("HealthCheckConfig") or {}
    numbers = {"HealthyThreshold", "UnhealthyThreshold", "TimeoutSeconds", "IntervalSeconds"}
    return {
        "containerName": declared["ContainerName"],
        "containerPort": int(declared["ContainerPort"]),
        "healthCheck": _lower_first({key: int(value) if key in numbers else value for key, value in check.items()}),
    }


def _domain_names(properties: Properties) -> dict[str, Any]:
    declared = properties.get("PublicDomainNames")
    if not declared:
        return {}
    return {"publicDomainNames": {entry["CertificateName"]: entry["DomainNames"] for entry in declared}}


def _is_puller_active(properties: Properties) -> bool:
    access = properties.get("PrivateRegistryAccess") or {}
    return _is_true((access.get("EcrImagePullerRole") or {}).get("IsActive"))


def _attributes(service: dict[str, Any]) -> dict[str, str]:
    puller = (service.get("privateRegistryAccess") or {}).get("ecrImagePullerRole") or {}
    return {
        "ContainerArn": service["arn"],
        "Url": service.get("url", ""),
        "PrincipalArn": service.get("principalArn", ""),
        "PrivateRegistryAccess.EcrImagePullerRole.PrincipalArn": puller.get("principalArn", ""),
    }


def _wait_until_stable(client: Any, name: str) -> dict[str, Any]:
    _wait(
        lambda: _there(client, name).get("state") in _STABLE,
        f"container service {name} did not become {', '.join(sorted(_STABLE))}",
    )
    return _there(client, name)


def _wait(is_done: Any, failure: str) -> None:
    deadline = time.monotonic() + _STABLE_WITHIN_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise ValueError(f"{failure} within {_STABLE_WITHIN_SECONDS} s")
        time.sleep(_POLL_SECONDS)


def _there(client: Any, name: str) -> dict[str, Any]:
    service = _service(client, name)
    assert service is not None, f"container service {name} is gone"
    return service


def _service(client: Any, name: str) -> dict[str, Any] | None:
    try:
        return client.get_container_services(serviceName=name)["containerServices"][0]
    except ClientError as error:
        if _is_gone(error):
            return None
        raise


def _is_gone(error: ClientError) -> bool:
    # The handler takes both for "it does not exist".
    return error.response["Error"]["Code"] in ("NotFoundException", "InvalidInputException")


def _client() -> Any:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_LIGHTSAIL")
    if not endpoint:
        raise ValueError(f"{TYPE} needs the environment variable AWS_ENDPOINT_URL_LIGHTSAIL")
    return botocore.session.Session().create_client(
        "lightsail",
        region_name=get_region(),
        endpoint_url=endpoint,
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
    )


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _lower_first(members: dict[str, Any]) -> dict[str, Any]:
    return {key[0].lower() + key[1:]: value for key, value in members.items()}
