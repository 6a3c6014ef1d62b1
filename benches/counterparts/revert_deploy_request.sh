#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    in_revert_window revert
    echo "{\"because\":\"PlanetScale reverts deploy request #$(input number).\"}"
}

serve
