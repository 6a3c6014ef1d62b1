//! `docs/order.md` has one row for each kind, and the code says of each what the row says.

use shared::order::{Judgement, Schema, Verdict, judge};

use crate::kinds::{Kind, kinds};

const DOCUMENT: &str = include_str!("../../../docs/order.md");

pub fn judged(kind: &Kind) -> Judgement {
    let tables = kind.tables();
    judge([kind.change], &Schema::read(tables.iter().map(String::as_str)))
}

pub fn named(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Expand => "expand",
        Verdict::Contract => "contract",
        Verdict::BreaksBothWays => "breaks both ways",
    }
}

fn row(kind: &Kind) -> String {
    let judgement = judged(kind);
    let of = |reasons: fn(&shared::order::Finding) -> &Vec<String>| {
        let all: Vec<_> = judgement.findings.iter().flat_map(reasons).map(String::as_str).collect();
        all.join("; ")
    };
    let before = match kind.before {
        "" => String::new(),
        tables if tables.starts_with("CREATE") => String::new(),
        columns => format!("`{columns}`"),
    };
    format!(
        "| {} | {before} | `{}` | **{}** | {} | {} |",
        kind.name,
        kind.change.replace('`', ""),
        named(kind.verdict),
        of(|finding| &finding.breaks_old),
        of(|finding| &finding.breaks_new)
    )
}

#[test]
fn the_code_says_of_every_kind_what_its_verdict_is() {
    assert!(kinds().len() >= 60, "{}", kinds().len());
    let wrong: Vec<_> = (kinds().iter())
        .filter(|kind| judged(kind).verdict() != kind.verdict)
        .map(|kind| format!("{}: {}: {:#?}", kind.name, kind.change, judged(kind)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_kind_is_guessed_when_its_table_is_known() {
    for kind in kinds() {
        assert!(!judged(&kind).is_guessed(), "{}", kind.change);
    }
}

#[test]
fn the_document_has_a_row_for_every_kind_and_no_other() {
    let mut expected = String::new();
    for kind in kinds() {
        let heading = format!("\n### {}\n\n", kind.group);
        if !expected.contains(&heading) {
            expected += &heading;
            expected += "| kind | beside | change | verdict | what breaks of the code before | what breaks of the new code |\n";
            expected += "|---|---|---|---|---|---|\n";
        }
        expected += &row(&kind);
        expected += "\n";
    }
    let (_, tables) = DOCUMENT.split_once("\n## The kinds\n").unwrap();
    if let Ok(path) = std::env::var("ORDER_TABLES") {
        std::fs::write(path, &expected).unwrap();
    }
    assert_eq!(tables, expected, "ORDER_TABLES=FILE writes the tables");
}
