#!/usr/bin/env bash
# `get-deploy-request` in bash with the AWS CLI and curl, as far as the benchmark's invocation goes.
set -euo pipefail

api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT

# The last value of a key in one line of JSON, without jq.
value() { sed -En "s/.*\"$1\": *\"?([^\",}]*).*/\1/p"; }

while true; do
    event=$(curl --silent --fail --dump-header "$headers" "$api/next")
    invocation=$(sed -En 's/^Lambda-Runtime-Aws-Request-Id: *([^\r]*)\r?$/\1/Ip' "$headers")

    secret=$(aws secretsmanager get-secret-value --secret-id "$PLANETSCALE_SECRET_ARN" --query SecretString --output text)
    organization=$(value organization <<<"$event")
    database=$(sed -E 's/.*"database": *\{//' <<<"$event" | value name)
    number=$(value number <<<"$event")
    request=$(curl --silent --fail --header "Authorization: $(value id <<<"$secret"):$(value token <<<"$secret")" \
        "$PLANETSCALE_API_URL/organizations/$organization/databases/$database/deploy-requests/$number")

    case $(value deployment_state <<<"$request") in
        pending) answer='{"step":"Wait","seconds":5}' ;;
        no_changes) answer='{"step":"NothingToApply"}' ;;
        ready)
            if grep -Eq '"can_drop_data": *true|"deployable": *false' <<<"$request"; then
                answer='{"step":"Refuse","outcome":"SchemaRefused"}'
            else
                answer='{"step":"SchemaFirst"}'
            fi
            ;;
        *) answer='{"step":"Refuse","outcome":"SchemaRefused"}' ;;
    esac
    curl --silent --fail --output /dev/null --data "$answer" "$api/$invocation/response"
done
