"""ECR repositories as the real service answers about them.

Facts: API reference of Amazon ECR and the service model of botocore; messages as seen in public
transcripts.
"""

import fnmatch
import json
import os
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import ecr
from ministack.services.cloudformation import provisioners

from additions.wrapping import wrap

EXCLUSION_FILTERS = "imageTagMutabilityExclusionFilters"


def install() -> None:
    ecr._find_image = _find_image
    ecr._list_images = _list_images
    wrap(ecr, "_describe_images", _describe_images)
    wrap(ecr, "_batch_delete_image", _batch_delete_image)
    wrap(ecr, "_set_repository_policy", _set_repository_policy)
    wrap(ecr, "_create_repository", _create_repository)
    wrap(ecr, "_put_image_tag_mutability", _put_image_tag_mutability)
    wrap(ecr, "_repo_shape", _repo_shape)
    wrap(ecr, "_get_download_url_for_layer", _get_download_url_for_layer)
    wrap(provisioners, "_ecr_cfn_to_api", _resource_properties)
    wrap(provisioners, "_ecr_repo_apply_policies", _apply_policies)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECR::Repository"]
    handlers["update"] = _with_exclusion_filters(handlers["update"])


def is_immutable(repository: dict[str, Any], tag: str) -> bool:
    """Whether the repository refuses to move this tag to another image."""
    setting = repository.get("imageTagMutability", "MUTABLE")
    excluded = any(fnmatch.fnmatchcase(tag, entry["filter"]) for entry in repository.get(EXCLUSION_FILTERS) or [])
    return setting.startswith("IMMUTABLE") != (setting.endswith("_WITH_EXCLUSION") and excluded)


def _find_image(repository: str, image_id: dict[str, Any]) -> dict[str, Any] | None:
    # An image id with both digest and tag names an image that has both.
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if not digest and not tag:
        return None
    for image in ecr._images.get(repository, []):
        if (not digest or image["imageDigest"] == digest) and (not tag or tag in image["imageTags"]):
            return image
    return None


def _describe_images(describe_images: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    # An unknown image is an error, not an empty answer.
    name = request.get("repositoryName", "")
    for image_id in request.get("imageIds") or [] if name in ecr._repositories else []:
        if _find_image(name, image_id) is None:
            digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
            return error_response_json(
                "ImageNotFoundException",
                f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within "
                f"the repository with name '{name}' in the registry with id '{get_account_id()}'",
            )
    status, headers, body = describe_images(request)
    answer = json.loads(body)
    for image in answer.get("imageDetails", []):
        # An untagged image has no imageTags member.
        if not image["imageTags"]:
            del image["imageTags"]
    return status, headers, json.dumps(answer).encode()


def _list_images(request: dict[str, Any]) -> tuple[Any, ...]:
    # One entry for each tag, and one for each untagged image.
    name = request.get("repositoryName", "")
    if name not in ecr._repositories:
        return error_response_json("RepositoryNotFoundException", f"The repository with name '{name}' does not exist")
    wanted = (request.get("filter") or {}).get("tagStatus", "ANY")
    image_ids: list[dict[str, str]] = []
    for image in ecr._images.get(name, []):
        digest = {"imageDigest": image["imageDigest"]}
        if image["imageTags"] and wanted != "UNTAGGED":
            image_ids += [{**digest, "imageTag": tag} for tag in image["imageTags"]]
        elif not image["imageTags"] and wanted != "TAGGED":
            image_ids.append(digest)
    return json_response({"imageIds": image_ids})


def _batch_delete_image(batch_delete_image: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    # Deleting by tag removes the tag; the image goes with its last one.
    name = request.get("repositoryName", "")
    untagged, remaining = [], []
    for image_id in request.get("imageIds") or []:
        image = _find_image(name, image_id) if "imageTag" in image_id else None
        if image and len(image["imageTags"]) > 1:
            image["imageTags"].remove(image_id["imageTag"])
            untagged.append({"imageDigest": image["imageDigest"], "imageTag": image_id["imageTag"]})
        else:
            remaining.append(image_id)
    status, headers, body = batch_delete_image({**request, "imageIds": remaining})
    answer = json.loads(body)
    if status == 200:
        answer["imageIds"] = untagged + answer["imageIds"]
    return status, headers, json.dumps(answer).encode()


def _set_repository_policy(set_repository_policy: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    # A principal must exist: the empty ARN of a puller role not yet active is refused.
    try:
        statements = json.loads(request.get("policyText") or "").get("Statement", [])
    except (ValueError, AttributeError):
        return _invalid_policy("Invalid repository policy provided")
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", "*") if isinstance(principal, dict) else principal
        for arn in named if isinstance(named, list) else [named]:
            if not arn:
                return _invalid_policy(
                    "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
                    "'Invalid repository policy provided'"
                )
    return set_repository_policy(request)


def _invalid_policy(message: str) -> tuple[Any, ...]:
    return error_response_json("InvalidParameterException", message)


def _create_repository(create_repository: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    answer = create_repository(request)
    if answer[0] == 200 and request.get(EXCLUSION_FILTERS):
        ecr._repositories[request["repositoryName"]][EXCLUSION_FILTERS] = request[EXCLUSION_FILTERS]
    return answer


def _put_image_tag_mutability(put_image_tag_mutability: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    answer = put_image_tag_mutability(request)
    if answer[0] == 200:
        ecr._repositories[request["repositoryName"]][EXCLUSION_FILTERS] = request.get(EXCLUSION_FILTERS)
    return answer


def _get_download_url_for_layer(get_download_url: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    # An address from which the layer can really be fetched without credentials, as from the real, signed one.
    status, headers, body = get_download_url(request)
    if status != 200:
        return status, headers, body
    name, digest = request["repositoryName"], request.get("layerDigest", "")
    if digest not in (ecr._layer_blobs.get(name) or {}):
        return error_response_json(
            "LayersNotFoundException",
            f"The layer with digest '{digest}' does not exist in the repository with name '{name}' in registry "
            f"with id '{get_account_id()}'",
        )
    url = f"{os.environ['AWS_ENDPOINT_URL']}/v2/{name}/blobs/{digest}"
    return status, headers, json.dumps({**json.loads(body), "downloadUrl": url}).encode()


def _repo_shape(repo_shape: Any, repository: dict[str, Any]) -> dict[str, Any]:
    shape = repo_shape(repository)
    if repository.get(EXCLUSION_FILTERS):
        shape[EXCLUSION_FILTERS] = repository[EXCLUSION_FILTERS]
    return shape


def _resource_properties(cfn_to_api: Any, properties: dict[str, Any]) -> dict[str, Any]:
    filters = [
        {
            "filterType": entry["ImageTagMutabilityExclusionFilterType"],
            "filter": entry["ImageTagMutabilityExclusionFilterValue"],
        }
        for entry in properties.get("ImageTagMutabilityExclusionFilters") or []
    ]
    return {**cfn_to_api(properties), EXCLUSION_FILTERS: filters}


def _apply_policies(apply_policies: Any, name: str, properties: dict[str, Any]) -> None:
    # The resource fails where SetRepositoryPolicy refuses, instead of going on without a policy.
    policy = properties.get("RepositoryPolicyText")
    if policy:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        status, _, body = ecr._set_repository_policy({"repositoryName": name, "policyText": text})
        if status != 200:
            raise ValueError(json.loads(body)["message"])
    apply_policies(name, properties)


def _with_exclusion_filters(update: Any) -> Any:
    def update_repository(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **named: Any
    ) -> tuple[Any, ...]:
        name, attributes = update(physical_id, old, new, *rest, **named)
        ecr._repositories[name][EXCLUSION_FILTERS] = _resource_properties(lambda _: {}, new)[EXCLUSION_FILTERS]
        return name, attributes

    return update_repository
