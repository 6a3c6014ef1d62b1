#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    in_revert_window skip-revert
    echo "{\"because\":\"The revert window of deploy request #$(input number) is closed.\"}"
}

serve
