#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local properties service repository role policy sid
    properties=$(inside ResourceProperties <<<"$event")
    service=$(value Service <<<"$properties")
    repository=$(value Repository <<<"$properties")
    if [[ $(input RequestType) == Delete ]]; then left_out "revoking"; fi
    role=$(aws lightsail get-container-services --service-name "$service" --output text \
        --query 'containerServices[0].privateRegistryAccess.ecrImagePullerRole.[isActive,principalArn]')
    if [[ $role != True$'\t'arn:* ]]; then left_out "waiting for the role"; fi
    policy=$(aws ecr get-repository-policy --repository-name "$repository" --query policyText --output text)
    sid=LightsailPull$(sed -E 's/(^|-)(.)/\u\2/g' <<<"$service")
    if ! grep -q "\"Sid\": *\"$sid\"[^}]*\"AWS\": *\"${role#*$'\t'}\"" <<<"$policy"; then
        left_out "writing the policy"
    fi
    # The URL is signed without a content type.
    fetch --output /dev/null --request PUT --header "Content-Type:" "$(input ResponseURL)" --data \
        "{\"Status\":\"SUCCESS\",\"Reason\":\"Done.\",\"PhysicalResourceId\":\"$repository/$service\",\"Data\":{},$(
            members StackId RequestId LogicalResourceId)}"
    echo '{}'
}

serve
