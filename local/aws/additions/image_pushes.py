"""ECR's rules at a push, and the "ECR Image Action" events that follow it.

Facts: ECR guide, "Events and EventBridge"; `manifest-media-type` and `artifact-media-type` as seen
in public transcripts and in the event schema registry.
`POST /_local/ecr-events {"deliver": "once" | "twice" | "never"}` makes the events as
unreliable as the real ones may be: they are "emitted on a best effort basis", and EventBridge
delivers at least once.
"""

import json
from typing import Any

from ministack.core.responses import error_response_json, get_account_id
from ministack.services import ecr, eventbridge

from additions import control
from additions.image_repository import is_immutable
from additions.wrapping import wrap

_DELIVERIES = {"never": 0, "once": 1, "twice": 2}
_settings = {"deliver": "once"}


def install() -> None:
    wrap(ecr, "_put_image", _put_image)
    wrap(ecr, "_v2_put_manifest", _put_manifest)
    wrap(ecr, "_batch_delete_image", _batch_delete_image)
    control.register("ecr-events", _set_delivery)


def _set_delivery(request: dict[str, Any]) -> dict[str, Any]:
    if request and request.get("deliver") not in _DELIVERIES:
        raise ValueError(f"'deliver' must be one of {', '.join(_DELIVERIES)}")
    _settings.update(request)
    return dict(_settings)


def _put_image(put_image: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    name, tag = request.get("repositoryName", ""), request.get("imageTag", "")
    digest = request.get("imageDigest") or ecr._image_digest(request.get("imageManifest", ""))
    if _is_unchanged(name, tag, digest):
        return error_response_json(
            "ImageAlreadyExistsException",
            f"Image with digest '{digest}' and tag '{tag or 'null'}' already exists in the repository with "
            f"name '{name}' in registry with id '{get_account_id()}'",
        )
    if _would_move_immutable_tag(name, tag, digest):
        return error_response_json("ImageTagAlreadyExistsException", _immutable_message(name, tag))
    answer = put_image(request)
    if answer[0] == 200:
        _announce_push(name, tag, digest)
    return answer


def _put_manifest(put_manifest: Any, name: str, reference: str, headers: dict[str, Any], body: Any) -> tuple[Any, ...]:
    # A push of what is there already succeeds in the registry protocol, and nothing happened.
    raw = body if isinstance(body, bytes) else (body or "").encode()
    digest = ecr._content_digest(raw)
    tag = "" if reference.startswith("sha256:") else reference
    unchanged = _is_unchanged(name, tag, digest)
    if not unchanged and _would_move_immutable_tag(name, tag, digest):
        return ecr._registry_error(400, "TAG_INVALID", _immutable_message(name, tag), {})
    answer = put_manifest(name, reference, headers, body)
    if answer[0] == 201 and not unchanged:
        _announce_push(name, tag, digest)
    return answer


def _batch_delete_image(batch_delete_image: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    name = request.get("repositoryName", "")
    before = {image["imageDigest"]: _media_types(image) for image in ecr._images.get(name) or []}
    answer = batch_delete_image(request)
    for image_id in json.loads(answer[2]).get("imageIds", []) if answer[0] == 200 else []:
        digest = image_id["imageDigest"]
        _publish("DELETE", name, image_id.get("imageTag", ""), digest, before.get(digest, {}))
    return answer


def _is_unchanged(name: str, tag: str, digest: str) -> bool:
    image = ecr._find_image(name, {"imageDigest": digest})
    return image is not None and (not tag or tag in image["imageTags"])


def _would_move_immutable_tag(name: str, tag: str, digest: str) -> bool:
    holder = ecr._find_image(name, {"imageTag": tag}) if tag else None
    return holder is not None and holder["imageDigest"] != digest and is_immutable(ecr._repositories[name], tag)


def _immutable_message(name: str, tag: str) -> str:
    return (
        f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten "
        "because the tag is immutable."
    )


def _announce_push(name: str, tag: str, digest: str) -> None:
    image = ecr._find_image(name, {"imageDigest": digest})
    _publish("PUSH", name, tag, digest, _media_types(image) if image else {})


def _media_types(image: dict[str, Any]) -> dict[str, str]:
    media_types = {"manifest-media-type": image["imageManifestMediaType"]}
    try:
        manifest = json.loads(image["imageManifest"])
        artifact = manifest.get("artifactType") or manifest["config"]["mediaType"]
    except (ValueError, KeyError, AttributeError):
        return media_types  # An index has no configuration.
    return {**media_types, "artifact-media-type": artifact}


def _publish(action: str, name: str, tag: str, digest: str, media_types: dict[str, str]) -> None:
    deliveries = _DELIVERIES[_settings["deliver"]]
    if deliveries == 0:
        return
    detail = {
        "result": "SUCCESS",
        "repository-name": name,
        "image-digest": digest,
        "action-type": action,
        "image-tag": tag,  # Empty for an untagged image, such as one that belongs to an index.
        **media_types,
    }
    entry = {"Source": "aws.ecr", "DetailType": "ECR Image Action", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    for _ in range(deliveries - 1):
        # The same event again, with the same id.
        eventbridge._dispatch_event(eventbridge._events_log_list()[-1])
