#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local service execution state before digest tag secret variables containers endpoint
    service=$(input service)
    execution=$(inside execution <<<"$event" | value name)
    state=$(aws lightsail get-container-services --service-name "$service" --output text \
        --query 'containerServices[0].[state,isDisabled]')
    before=$(aws lightsail get-container-service-deployments --service-name "$service" --output text \
        --query 'deployments[].containers.values(@)[].environment.RELEASE_EXECUTION')
    if [[ $state != $'RUNNING\tFalse' ]]; then left_out "a service that is not ready"; fi
    if grep -qw -- "$execution" <<<"$before"; then left_out "a deployment that was created before"; fi
    digest=$(input digest)
    tag=$(immutable_tag "$(input repository)" "$digest")
    secret=$(aws secretsmanager get-secret-value --secret-id "$CONNECTION_STRING_SECRET_ARN" \
        --query SecretString --output text)
    variables="${CONTAINER_ENVIRONMENT%\}},\"$CONNECTION_STRING_VARIABLE\":\"$secret\""
    variables+=",\"RELEASE_EXECUTION\":\"$execution\"}"
    containers="{\"$CONTAINER_NAME\":{\"image\":\"$(input uri):$tag\",\"environment\":$variables,"
    containers+="\"ports\":{\"$CONTAINER_PORT\":\"HTTP\"}}}"
    endpoint="{\"containerName\":\"$CONTAINER_NAME\",\"containerPort\":$CONTAINER_PORT,"
    endpoint+="\"healthCheck\":{\"path\":\"$HEALTH_CHECK_PATH\",\"successCodes\":\"200\"}}"
    # A second try could create a second deployment.
    AWS_MAX_ATTEMPTS=1 aws lightsail create-container-service-deployment --service-name "$service" \
        --containers "$containers" --public-endpoint "$endpoint" --output json \
        --query "containerService.{step: 'Created', deployment: {service: containerServiceName, url: url,
            version: nextDeployment.version, image: nextDeployment.containers.*.image | [0]}}"
}

serve
