"""Base images for a machine that does not reach their registries.

Exactly two have a stand-in: `rust:<version>-slim-<release>` and `gcr.io/distroless/cc-debian<n>`.
They are assembled from this machine's Rust toolchain and from packages that its apt downloads, and
kept under the images' own names, so that an unchanged Dockerfile builds. Both come from one release
of the system, so that what the first compiles runs on the second. Where a registry can be reached,
the real image is used.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from buildah import REPOSITORY, Buildah, BuildahFailed, is_loopback, say

# What the registry of a name is asked at.
_DOCKER_HUB = "registry-1.docker.io"
_PATH = "/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The parts of a toolchain that compile; the documentation is larger than they are.
_TOOLCHAIN = ["bin/cargo", "bin/rustc", "lib/lib*.so*", "lib/rustlib/x86_64-unknown-linux-gnu"]


def provide(buildah: Buildah, dockerfile: str) -> None:
    """Have every base image that the Dockerfile names, or leave it to the build to pull it.

    Raises BuildahFailed when one can neither be pulled nor assembled.
    """
    for name in named_in(dockerfile):
        full = full_name(name)
        if is_loopback(full) or buildah.has(full):
            continue
        registry = full.partition("/")[0]
        if not answers(_DOCKER_HUB if registry == "docker.io" else registry):
            assemble(buildah, full)


def named_in(dockerfile: str) -> Iterator[str]:
    """The images that FROM names, without the stages of the file itself."""
    stages = {"scratch"}
    for line in dockerfile.splitlines():
        if found := re.match(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE):
            image, stage = found.groups()
            if image.lower() not in stages:
                yield image
            stages.add((stage or "").lower())


def full_name(name: str) -> str:
    """The name with its registry, as Docker completes it."""
    first, separator, _ = name.partition("/")
    if separator and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if separator else f"docker.io/library/{name}"


def answers(registry: str) -> bool:
    try:
        urllib.request.urlopen(f"https://{registry}/v2/", timeout=10).close()
    except urllib.error.HTTPError:
        pass  # It wants a login first.
    except OSError:
        return False
    return True


def assemble(buildah: Buildah, name: str) -> None:
    if found := re.fullmatch(r"docker\.io/library/rust:([\d.]+)-slim-\w+", name):
        toolchain = _toolchain(found[1])
        _commit(buildah, name, lambda root: _compiler(root, toolchain), ["--env", f"PATH={_PATH}"])
    elif re.fullmatch(r"gcr\.io/distroless/cc-debian\d+:nonroot", name):
        options = ["--user", "65532", "--workingdir", "/home/nonroot", "--env", f"PATH={_PATH}"]
        options += ["--env", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
        _commit(buildah, name, _runtime, options)
    else:
        raise BuildahFailed(f"the registry of {name} cannot be reached, and there is no stand-in for this image")


def _commit(buildah: Buildah, name: str, fill: Callable[[Path], None], options: list[str]) -> None:
    say(f"The registry of {name} cannot be reached: assembling a stand-in, once.")
    root = buildah.home / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    fill(root)
    container = buildah.run("from", "scratch", quiet=True)
    try:
        buildah.run("add", "--quiet", "--chown", "0:0", container, str(root), "/")
        buildah.run("config", "--arch", "amd64", "--os", "linux", *options, container)
        buildah.run("commit", "--quiet", "--format", "docker", container, name, quiet=True)
    finally:
        buildah.run("rm", container, quiet=True)
        shutil.rmtree(root, ignore_errors=True)
    say(f"{name} is assembled.")


def _compiler(root: Path, toolchain: Path) -> None:
    _unpack(root, ["ca-certificates", *_with_dependencies("gcc", "libc6-dev", "dash", "coreutils")])
    _link(root / "bin" / "sh", "dash")
    _link(root / "usr" / "bin" / "cc", "gcc")
    say(f"  taking the toolchain {toolchain}")
    destination = root / "usr" / "local"
    for pattern in _TOOLCHAIN:
        for source in toolchain.glob(pattern):
            target = destination / source.relative_to(toolchain)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy2(source, target)


def _runtime(root: Path) -> None:
    _unpack(root, ["ca-certificates", "libc6", "libgcc-s1"])
    (root / "home" / "nonroot").mkdir(parents=True)
    (root / "home" / "nonroot").chmod(0o777)
    (root / "etc" / "passwd").write_text(
        "root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nnonroot:x:65532:\n")


def _toolchain(version: str) -> Path:
    # In the repository, whose rust-toolchain.toml chooses it.
    said = _output("rustc", "--version", directory=REPOSITORY).split()[1]
    if said != version:
        raise BuildahFailed(f"the Dockerfile wants Rust {version}, and this machine has {said}")
    return Path(_output("rustc", "--print", "sysroot", directory=REPOSITORY).strip())


def _unpack(root: Path, packages: list[str]) -> None:
    """Unpack packages of this machine's release, without running anything of them."""
    downloads = root.parent / "packages"
    downloads.mkdir(exist_ok=True)
    say(f"  downloading {len(packages)} packages")
    try:
        _output("apt-get", "-qq", "--option", "APT::Sandbox::User=", "download", *packages, directory=downloads)
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            _link(root / name, f"usr/{name}")
        for package in sorted(downloads.glob("*.deb")):
            _output("dpkg-deb", "--extract", str(package), str(root), directory=downloads)
    finally:
        shutil.rmtree(downloads, ignore_errors=True)
    certificates = sorted((root / "usr" / "share" / "ca-certificates").rglob("*.crt"))
    bundle = root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(certificate.read_text() for certificate in certificates))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _with_dependencies(*packages: str) -> list[str]:
    others = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    options = [f"--no-{other}" for other in others]
    said = _output("apt-cache", "depends", "--recurse", *options, *packages, directory=REPOSITORY)
    # A line that begins with a space or `<` tells a relation, or a virtual package.
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9.+-]*)$", said, re.MULTILINE)))


def _output(*command: str, directory: Path) -> str:
    try:
        result = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildahFailed(
            f"there is no {command[0]}: a stand-in needs this machine's Rust, and packages of Debian or Ubuntu"
        ) from None
    if result.returncode != 0:
        raise BuildahFailed(f"{command[0]} {command[1]} failed: {result.stderr.strip()}")
    return result.stdout


def _link(path: Path, target: str) -> None:
    if not path.is_symlink() and not path.exists():
        path.symlink_to(target)
