#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local number request
    number=$(input number)
    read_token
    request=$(planetscale GET "/$number")
    case $(value deployment_state <<<"$request") in
        pending | ready) request=$(planetscale POST "/$number/deploy" '{"instant_ddl":false}') ;;
        *) left_out "a request that is on its way" ;;
    esac
    echo "{\"step\":\"Queued\",\"because\":\"It is $(value deployment_state <<<"$request").\"}"
}

serve
