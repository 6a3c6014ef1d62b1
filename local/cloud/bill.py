"""A bill of materials of the functions' programs, in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import tomlkit


def bill_of_materials(project: Path, programs: list[str], target: str) -> dict[str, Any]:
    """Every package that is compiled into these programs for a Rust target, by what cargo says.

    Cargo joins the features of the whole workspace, so a package may be listed that only its tests need.
    Raises CalledProcessError when cargo fails.
    """
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    said = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout
    metadata = json.loads(said)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {node["id"]: _compiled_in(node) for node in metadata["resolve"]["nodes"]}
    roots = sorted(
        key
        for key, package in packages.items()
        if any("bin" in t["kind"] and t["name"] in programs for t in package["targets"])
    )
    found, unseen = set(), list(roots)
    while unseen:
        if (key := unseen.pop()) not in found:
            found.add(key)
            unseen += needs[key]
    checksums = _checksums(project)
    references = {key: _reference(packages[key]) for key in found}
    components = sorted((_component(packages[key], checksums) for key in found), key=lambda each: each["bom-ref"])
    dependencies = [
        {"ref": references[key], "dependsOn": sorted({references[need] for need in needs[key]})}
        for key in sorted(found, key=references.__getitem__)
    ]
    version = packages[roots[0]]["version"]
    product = {"type": "application", "bom-ref": f"{project.name}@{version}", "name": project.name, "version": version}
    dependencies.insert(0, {"ref": product["bom-ref"], "dependsOn": [references[key] for key in roots]})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same materials have the same number.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
        "dependencies": dependencies,
    }


def _compiled_in(node: dict[str, Any]) -> list[str]:
    """What is linked into a package's code: neither for its tests only, nor for its build script."""
    return [need["pkg"] for need in node["deps"] if any(kind["kind"] is None for kind in need["dep_kinds"])]


def _reference(package: dict[str, Any]) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"


def _component(package: dict[str, Any], checksums: dict[tuple[str, str], str]) -> dict[str, Any]:
    name, version = package["name"], package["version"]
    component = {
        "type": "application" if package["source"] is None else "library",
        "bom-ref": _reference(package),
        "name": name,
        "version": version,
        "purl": _reference(package),
    }
    if package["license"]:
        # Some packages still write the `or` of before SPDX expressions.
        component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := checksums.get((name, version)):
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return component


def _checksums(project: Path) -> dict[tuple[str, str], str]:
    """Of the packages' archives, as Cargo.lock has them."""
    locked = tomlkit.parse((project / "Cargo.lock").read_text()).unwrap()["package"]
    return {(package["name"], package["version"]): package["checksum"] for package in locked if "checksum" in package}
