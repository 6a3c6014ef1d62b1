#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local number request closed=false
    number=$(input number)
    read_token
    request=$(planetscale GET "/$number")
    case $(value deployment_state <<<"$request") in
        pending | ready | no_changes | error) request=$(planetscale PATCH "/$number" '{"state":"closed"}') ;;
        *) left_out "a request in another state" ;;
    esac
    if grep -q '"state": *"closed"' <<<"$request"; then closed=true; fi
    echo "{\"closed\":$closed}"
}

serve
