#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local number
    number=$(input number)
    read_token
    case $(planetscale GET "/$number" | value deployment_state) in
        complete_pending_revert) planetscale POST "/$number/skip-revert" '{}' >/dev/null ;;
        *) left_out "a request whose revert window is not open" ;;
    esac
    echo "{\"because\":\"The revert window of deploy request #$number is closed.\"}"
}

serve
