"""The long run: `make chaos`, with SEED, RELEASES and ENVIRONMENTS if they are to be others."""

from __future__ import annotations

import argparse
import secrets

from chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="replays the plan of a run; a new one otherwise")
    parser.add_argument("--releases", type=int, default=300, help="how many pushes to plan (300)")
    parser.add_argument("--environments", type=int, default=4, help="over how many environments (4)")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    result = run(seed, arguments.releases, arguments.environments, lambda line: print(line, flush=True))
    print(result.told())
    return 1 if result.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
