#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local service version deployment state
    service=$(input service)
    version=$(input version)
    deployment=$(aws lightsail get-container-service-deployments --service-name "$service" --output text \
        --query "deployments[?version==\`$version\`].state")
    state=$(aws lightsail get-container-services --service-name "$service" --output text \
        --query 'containerServices[0].[state,isDisabled]')
    if [[ $state != $'RUNNING\tFalse' ]]; then left_out "a service that is busy or down"; fi
    if [[ $deployment != ACTIVE ]]; then left_out "a deployment that is not active"; fi
    echo "{\"step\":\"Active\",\"because\":\"Deployment $version of $service is ACTIVE.\",\"serviceDown\":false}"
}

serve
