"""What the services answer: bodies in the form and about the size of the real ones."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from benches.payloads import CONNECTION_STRING, DIGEST, HOLDER, REPOSITORY, SECRETS, SERVICE, TOPIC, URI

Body = dict[str, Any]

PULLER = "arn:aws:iam::210987654321:role/amazon/lightsail/us-east-1/containers/bookings-api-prod/private-repo-access"
_CONFIGURATION = "sha256:" + "c" * 64
_TIME = "2026-11-22T09:46:53.000Z"
_SECONDS = 1795340813.0
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "LightsailPullBookingsApiProd",
            "Effect": "Allow",
            "Principal": {"AWS": PULLER},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}


def aws_json(target: str, request: Body, url: str) -> Body:
    """The answer to an operation, such as `DynamoDB_20120810.GetItem`; `url` is this server's own."""
    operation = target.rsplit(".", 1)[1]
    answers: dict[str, Any] = {
        "GetItem": lambda: _item(request["Key"]["kind"]["S"]),
        "PutItem": dict,
        "TransactWriteItems": dict,
        "DescribeImages": lambda: {"imageDetails": [_IMAGE]},
        "BatchGetImage": lambda: {"images": [_MANIFEST], "failures": []},
        "GetDownloadUrlForLayer": lambda: {"downloadUrl": f"{url}/layer", "layerDigest": _CONFIGURATION},
        "GetRepositoryPolicy": lambda: {
            "registryId": "123456789012",
            "repositoryName": REPOSITORY,
            "policyText": json.dumps(_POLICY),
        },
        "GetSecretValue": lambda: _secret(request["SecretId"]),
        "DescribeExecution": lambda: _EXECUTION,
        "StartExecution": lambda: {"executionArn": HOLDER, "startDate": _SECONDS},
        "GetContainerServices": lambda: {"containerServices": [_service()]},
        "GetContainerServiceDeployments": lambda: {
            "deployments": [_deployment(4, "ACTIVE"), _deployment(3, "INACTIVE")]
        },
        "CreateContainerServiceDeployment": lambda: {
            "containerService": {**_service(), "state": "DEPLOYING", "nextDeployment": _deployment(5, "ACTIVATING")}
        },
    }  # fmt: skip
    return answers[operation]()


def sns(body: bytes) -> bytes:
    """SNS speaks the query protocol and XML."""
    action = parse_qs(body.decode())["Action"][0]
    attributes = {"TopicArn": TOPIC, "SubscriptionsConfirmed": "1", "SubscriptionsPending": "0"}
    entries = "".join(f"<entry><key>{k}</key><value>{v}</value></entry>" for k, v in attributes.items())
    result = {
        "Publish": "<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId>",
        "GetTopicAttributes": f"<Attributes>{entries}</Attributes>",
    }[action]
    return (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    ).encode()


def planetscale(method: str, path: str) -> Body:
    """PlanetScale's answer; `path` begins after the version."""
    parts = path.strip("/").split("/")
    if parts == ["organizations"]:
        return _page([{"id": "org1", "type": "Organization", "name": "acme", "created_at": _TIME}])
    rest = parts[4:]
    if not rest:
        return {
            "id": "db1", "type": "Database", "name": "bookings", "state": "ready", "kind": "mysql", "ready": True,
            "default_branch": "main", "require_approval_for_deploy": False, "region": {"slug": "us-east"},
        }  # fmt: skip
    if rest[0] == "branches":
        is_main = rest[1] == "main"
        return {
            "id": rest[1], "type": "Branch", "name": rest[1], "ready": True, "state": "ready",
            "production": is_main, "safe_migrations": is_main, "created_at": _TIME, "updated_at": _TIME,
        }  # fmt: skip
    if len(rest) == 1:
        return _page([]) if method == "GET" else _deploy_request(9, "pending")
    number, action = int(rest[1]), "/".join([method, *rest[2:]])
    state = {
        "GET": "ready" if number == 7 else "complete_pending_revert",
        "PATCH": "ready",
        "POST/deploy": "queued",
        "POST/revert": "in_progress_revert",
        "POST/skip-revert": "complete",
    }[action]
    return _deploy_request(number, state, "closed" if method == "PATCH" or state == "complete" else "open")


def layer() -> bytes:
    """The image's configuration."""
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "created": _TIME, "config": {"Cmd": ["/bookings-api"]}}
    ).encode()


_IMAGE = {
    "registryId": "123456789012",
    "repositoryName": REPOSITORY,
    "imageDigest": DIGEST,
    "imageTags": ["prod", "3f2a9c1d"],
    "imageSizeInBytes": 21_474_836,
    "imagePushedAt": _SECONDS,
    "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "artifactMediaType": "application/vnd.docker.container.image.v1+json",
}
_MANIFEST = {
    "registryId": "123456789012",
    "repositoryName": REPOSITORY,
    "imageId": {"imageDigest": DIGEST},
    "imageManifest": json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": _CONFIGURATION},
            "layers": [],
        }
    ),
}
_EXECUTION = {
    "executionArn": HOLDER,
    "stateMachineArn": HOLDER.rsplit(":", 1)[0].replace(":execution:", ":stateMachine:"),
    "name": HOLDER.rsplit(":", 1)[1],
    "status": "RUNNING",
    "startDate": _SECONDS,
    "input": "{}",
    "inputDetails": {"included": True},
    "redriveCount": 0,
    "redriveStatus": "NOT_REDRIVABLE",
    "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
}


def _item(kind: str) -> Body:
    text = {
        "lock": {"holder": HOLDER, "digest": DIGEST, "takenAt": _TIME, "usableFrom": _TIME},
        "last": {"digest": "sha256:" + "b" * 64, "execution": "prod-before", "startedAt": _TIME, "outcome": "Released"},
    }
    if kind not in text:
        return {}
    item: Body = {name: {"S": value} for name, value in {"kind": kind, "id": kind, **text[kind]}.items()}
    if kind == "lock":
        item["redrives"] = {"N": "0"}
    return {"Item": item}


def _secret(arn: str) -> Body:
    token = json.dumps({"id": "token-of-a-benchmark", "token": "only-for-the-benchmark"})
    return {
        "ARN": arn,
        "Name": arn.rsplit(":", 1)[1],
        "VersionId": "a1b2c3d4-5678-90ab-cdef-000000000001",
        "SecretString": token if arn == SECRETS["planetscale"] else CONNECTION_STRING,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": _SECONDS,
    }


def _deployment(version: int, state: str) -> Body:
    return {
        "version": version,
        "state": state,
        "containers": {
            "app": {
                "image": f"{URI}:3f2a9c1d",
                "command": [],
                "environment": {"LISTEN": "0.0.0.0:80", "RELEASE_EXECUTION": f"prod-{version}"},
                "ports": {"80": "HTTP"},
            }
        },
        "publicEndpoint": {
            "containerName": "app",
            "containerPort": 80,
            "healthCheck": {
                "healthyThreshold": 2, "unhealthyThreshold": 2, "timeoutSeconds": 2, "intervalSeconds": 5,
                "path": "/healthz", "successCodes": "200",
            },
        },
        "createdAt": _SECONDS,
    }  # fmt: skip


def _service() -> Body:
    return {
        "containerServiceName": SERVICE,
        "arn": f"arn:aws:lightsail:us-east-1:123456789012:ContainerService/{SERVICE}",
        "createdAt": _SECONDS,
        "location": {"availabilityZone": "all", "regionName": "us-east-1"},
        "resourceType": "ContainerService",
        "tags": [],
        "power": "nano",
        "powerId": "nano-1",
        "state": "RUNNING",
        "scale": 1,
        "currentDeployment": _deployment(4, "ACTIVE"),
        "isDisabled": False,
        "principalArn": "",
        "privateDomainName": f"{SERVICE}.service.local",
        "url": f"https://{SERVICE}.example.us-east-1.cs.amazonlightsail.com/",
        "privateRegistryAccess": {"ecrImagePullerRole": {"isActive": True, "principalArn": PULLER}},
    }


def _page(data: list[Body]) -> Body:
    return {"type": "list", "current_page": 1, "next_page": None, "prev_page": None, "data": data}


def _deploy_request(number: int, state: str, shown: str = "open") -> Body:
    avatar = "https://app.planetscale.com/gravatar-fallback.png"
    actor = {"id": "actor1", "display_name": "release", "avatar_url": avatar}
    times = {"created_at": _TIME, "updated_at": _TIME}
    statement = "ALTER TABLE `hotels` ADD COLUMN `stars` tinyint unsigned"
    operation = {
        "id": "operation1", "type": "DeployOperation", "state": "pending", "keyspace_name": "bookings",
        "table_name": "hotels", "operation_name": "ALTER", "ddl_statement": statement,
        "syntax_highlighted_ddl": f"<div class='highlight'>{statement}</div>", "can_drop_data": False,
        "progress_percentage": 0, "eta_seconds": 0, "deploy_errors": None, "deploy_error_docs_url": None,
        "table_recently_used": True, "table_recently_used_at": _TIME, **times,
    }  # fmt: skip
    deployment = {
        "id": "deployment1", "type": "Deployment", "state": state, "deploy_request_number": number,
        "into_branch": "main", "actor": actor, "queued_at": None, "submitted_at": None, "started_at": None,
        "ready_to_cutover_at": None, "cutover_at": None, "finished_at": None, "auto_cutover": True,
        "auto_delete_branch": False, "cutover_expiring": False, "deploy_check_errors": None, "deployable": True,
        "preceding_deployments": [], "deploy_operations": [operation], "deploy_operation_summaries": [],
        "lint_errors": [], "sequential_diff_dependencies": [], "lookup_vindex_operations": [],
        "schema_last_updated_at": _TIME, "table_locked": False, "locked_table_name": None, "instant_ddl": False,
        "instant_ddl_eligible": True, "queue_paused": False, "queue_pause_reason": None, **times,
    }  # fmt: skip
    return {
        "id": f"request{number}", "type": "DeployRequest", "number": number, "actor": actor, "closed_by": None,
        "branch": "dev", "branch_id": "branch1", "branch_deleted": False, "into_branch": "main",
        "into_branch_sharded": False, "into_branch_shard_count": 1, "approved": False, "state": shown,
        "deployment_state": state, "deployment": deployment, "num_comments": 0,
        "html_url": f"https://app.planetscale.com/acme/bookings/deploy-requests/{number}",
        "notes": "Release of bookings-api into prod", "html_body": "<p>Release of bookings-api into prod</p>",
        "closed_at": None, "deployed_at": None, **times,
    }  # fmt: skip
