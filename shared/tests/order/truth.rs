//! What a database does with each kind.

use shared::order::Verdict;

use crate::document::judged;
use crate::kinds::{ALWAYS, Kind, kinds};
use crate::server::Database;

/// Whether statements work; the first that does not, if not.
type Works = Result<(), String>;

/// What one version of the code runs.
fn statements(own: &'static [&'static str]) -> Vec<&'static str> {
    let always: &[&str] = if own.iter().any(|statement| statement.starts_with('!')) { &[] } else { &ALWAYS };
    always.iter().chain(own).copied().collect()
}

fn on_mariadb(table: &str) -> String {
    table.replace("(n) INVISIBLE", "(n) IGNORED")
}

/// Whether the old code works on the new schema and the new code on the old one; an error if a version does not even
/// work on its own schema.
fn truth(database: &mut Database, kind: &Kind) -> Result<(Works, Works), String> {
    let tables: Vec<String> = kind.tables().iter().map(|table| on_mariadb(table)).collect();
    let change = kind.on_mariadb.unwrap_or(kind.change);
    let old_schema = || tables.iter().map(String::as_str);
    let new_schema = || old_schema().chain([change]);
    let (old, new) = (statements(kind.old), statements(kind.new));
    database.make(old_schema())?;
    database.run_all(old.iter().copied())?;
    database.make(new_schema())?;
    database.run_all(new.iter().copied())?;
    database.make(new_schema())?;
    let old_works = database.run_all(old);
    database.make(old_schema())?;
    Ok((old_works, database.run_all(new)))
}

#[test]
#[ignore = "needs a database server; make unit starts one"]
fn a_database_does_with_every_kind_what_the_code_says() {
    let mut database = Database::new("order_truth");
    let mut wrong = Vec::new();
    for kind in kinds() {
        let name = format!("{}: {}", kind.name, kind.change);
        match truth(&mut database, &kind) {
            Err(error) => wrong.push(format!("{name}: a version fails on its own schema: {error}")),
            Ok((old, new)) => {
                let is = match (&old, &new) {
                    (Ok(()), _) => Verdict::Expand,
                    (Err(_), Ok(())) => Verdict::Contract,
                    (Err(_), Err(_)) => Verdict::BreaksBothWays,
                };
                if is != kind.verdict || is != judged(&kind).verdict() {
                    wrong.push(format!(
                        "{name}: is {is:?}, and said to be {:?}: {old:?}, {new:?}",
                        kind.verdict
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
