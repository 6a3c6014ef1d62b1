#!/usr/bin/env bash
source "$(dirname "$0")/runtime.sh"

handle() {
    local head base open notes
    head=$(input headBranch)
    base=$(input baseBranch)
    read_token
    open=$(planetscale GET "?state=open&branch=$head&into_branch=$base&page=1&per_page=100")
    if ! grep -q '"data": *\[\]' <<<"$open"; then left_out "adopting an open request"; fi
    notes="Release of $(input application) into $(input environment), commit $(input commit), $(input arn)"
    planetscale POST "" "{\"branch\":\"$head\",\"into_branch\":\"$base\",\"notes\":\"$notes\",\"auto_cutover\":true}" \
        >/dev/null
    echo "{\"because\":\"Created from $head into $base.\"}"
}

serve
