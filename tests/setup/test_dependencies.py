"""The check of the dependencies finds what it is there for."""

from __future__ import annotations

from pathlib import Path

import dependencies
import pytest


@pytest.mark.parametrize(
    ("licence", "may_be_used"),
    [
        ("MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", True),
        ("(GPL-3.0-only OR LGPL-3.0-only) AND MIT", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("", False),
    ],
)
def test_a_licence_is_met_as_its_expression_says(licence: str, may_be_used: bool) -> None:
    assert dependencies.may_be_used(licence) == may_be_used


def test_what_is_banned_or_comes_from_elsewhere_is_named() -> None:
    def package(name: str, version: str = "1.0.0", source: str | None = dependencies.CRATES_IO) -> dict[str, object]:
        return {"name": name, "version": version, "source": source, "license": "MIT"}

    fine = [package("hyper"), package("shared", source=None)]
    wrong = [package("hyper", "0.14.32"), package("openssl-sys"), package("serde", source="git+https://example.com")]
    assert [sentence.split()[0] for sentence in dependencies.unwanted([*fine, *wrong])] == [
        "hyper",
        "openssl-sys",
        "serde",
    ]


def test_a_dependency_that_no_source_names_is_unused(tmp_path: Path) -> None:
    package = tmp_path / "shared"
    (package / "src").mkdir(parents=True)
    (tmp_path / "Cargo.toml").write_text('[workspace.dependencies]\nserde = "1"\nserde_json = "1"\n')
    (package / "Cargo.toml").write_text(
        '[package]\nname = "shared"\n[dependencies]\nserde.workspace = true\n[dev-dependencies]\nfast-rand = "2"\n[lints]\nworkspace = true\n'
    )
    (package / "src" / "lib.rs").write_text("use fast_rand::Rng;\n")
    assert list(dependencies.unused(tmp_path)) == [
        "shared/Cargo.toml declares serde, which no source of it names.",
        "Cargo.toml declares serde_json, which no member does.",
    ]
