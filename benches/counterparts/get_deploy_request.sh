#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local request
    read_token
    request=$(planetscale GET "/$(input number)")
    case $(value deployment_state <<<"$request") in
        pending) echo '{"step":"Wait","seconds":5}' ;;
        no_changes) echo '{"step":"NothingToApply"}' ;;
        ready)
            if grep -Eq '"can_drop_data": *true|"deployable": *false' <<<"$request"; then
                echo '{"step":"Refuse","outcome":"SchemaRefused"}'
            else
                echo '{"step":"SchemaFirst"}'
            fi
            ;;
        *) echo '{"step":"Refuse","outcome":"SchemaRefused"}' ;;
    esac
}

serve
