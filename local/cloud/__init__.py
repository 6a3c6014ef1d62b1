"""The local AWS as a Python library: start it, install a stack, push an image, look at the release.

Runs in the `.local/tools` virtual environment, which `local/setup demo` creates.
"""

from cloud.environment import Environment
from cloud.images import push_event, push_image, push_index
from cloud.install import build, install
from cloud.lightsail import Lightsail
from cloud.local_aws import LocalAws, ThreadedAws, emulator
from cloud.planetscale import PlanetScale

__all__ = [
    "Environment",
    "Lightsail",
    "LocalAws",
    "PlanetScale",
    "ThreadedAws",
    "build",
    "emulator",
    "install",
    "push_event",
    "push_image",
    "push_index",
]
