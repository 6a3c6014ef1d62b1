#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local push digest at commit name
    push="$(input action-type) $(input result) $(input repository-name) $(input image-tag)"
    if [[ $push != "PUSH SUCCESS $REPOSITORY_NAME $MOVING_TAG" ]]; then left_out "another event"; fi
    digest=$(input image-digest)
    at=$(input time)
    commit=$(immutable_tag "$REPOSITORY_NAME" "$digest")
    name="$MOVING_TAG-${digest:7:12}-${at//[-:]/}"
    aws stepfunctions start-execution --state-machine-arn "$STATE_MACHINE_ARN" --name "$name" \
        --input "$(release)" >/dev/null
    echo "{\"started\":\"$name\",\"because\":\"The release was started.\"}"
}

release() {
    cat <<END
{
    "application": "$APPLICATION", "environment": "$ENVIRONMENT", "cause": "push", "pushedAt": "$at",
    "image": {"repository": "$REPOSITORY_NAME", "uri": "$REPOSITORY_URI", "movingTag": "$MOVING_TAG",
        "digest": "$digest", "commit": "$commit"},
    "service": "$SERVICE_NAME",
    "database": {"organization": "$PLANETSCALE_ORGANIZATION", "name": "$PLANETSCALE_DATABASE",
        "headBranch": "$PLANETSCALE_HEAD_BRANCH", "baseBranch": "$PLANETSCALE_BASE_BRANCH"},
    "policy": {"destructiveChanges": "$DESTRUCTIVE_CHANGES", "onContainerFailure": "$ON_CONTAINER_FAILURE"},
    "deadlines": {"turn": $TURN_DEADLINE, "validation": $VALIDATION_DEADLINE, "approval": $APPROVAL_DEADLINE,
        "schema": $SCHEMA_DEADLINE, "revert": $REVERT_DEADLINE, "containers": $CONTAINERS_DEADLINE},
    "lastCall": $LAST_CALL,
    "verification": {"paths": [{"path": "$HEALTH_CHECK_PATH", "status": 200}], "seconds": $VERIFY_FOR,
        "onFailure": "$ON_VERIFICATION_FAILURE"}
}
END
}

serve
