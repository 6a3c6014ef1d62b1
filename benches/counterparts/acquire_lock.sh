#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local holder now last digest waited status
    digest=$(input digest)
    waited=$(input waited)
    holder=$(get_item lock lock holder.S)
    now=$(aws ecr describe-images --repository-name "$(input repository)" --output text \
        --image-ids "imageTag=$(input movingTag)" --query 'imageDetails[0].imageDigest')
    last=$(get_item last last digest.S)
    if [[ $now != "$digest" || $last == "$digest" ]]; then left_out "a release that steps aside"; fi
    if [[ $holder != arn:* || $holder == "$(input arn)" ]]; then left_out "taking the lock"; fi
    status=$(aws stepfunctions describe-execution --execution-arn "$holder" --output text --query status)
    if [[ $status != RUNNING && $status != PENDING_REDRIVE ]]; then left_out "taking the lock over"; fi
    echo "{\"turn\":\"Wait\",\"seconds\":$((waited < 50 ? 5 : waited / 10))," \
        "\"because\":\"The release ${holder##*:} holds the environment.\"}"
}

serve
