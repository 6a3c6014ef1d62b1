//! Which order a schema change allows: the schema first, the containers first, or none.
//!
//! Between the schema and the containers one of them is new and the other old. A change is judged by the statements of
//! both versions of the code: whether those of the old code work on the new schema, and those of the new code on the old
//! schema. `docs/order.md` has the table of kinds; `tests/order` runs each of them on a database.

mod apply;
mod charset;
mod compare;
mod data_type;
mod effects;
mod statement;
mod table;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use crate::text;
use apply::Altered;
use effects::Effects;
use statement::{Clause, Named, Statement};
use table::Table;

/// What a change does to the code before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The old code works on the new schema.
    Expand,
    /// The old code breaks on the new schema, and the new code works on the old one.
    Contract,
    /// The old code breaks on the new schema, and the new code on the old one.
    BreaksBothWays,
}

/// One clause of a change, or several that belong together, with what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The statement, with these clauses only.
    pub statement: String,
    /// Why the old code breaks on the new schema; empty if it works.
    pub breaks_old: Vec<String>,
    /// Why the new code breaks on the old schema; empty if it works.
    pub breaks_new: Vec<String>,
    /// The releases that get there, if it breaks both ways.
    pub way_out: String,
    /// Whether the table as it was is not known, so that the safer verdict was taken.
    pub guessed: bool,
    /// Which of the statements that were judged it is of, counted from 0.
    pub of: usize,
}

impl Finding {
    fn new(statement: String, effects: Effects) -> Self {
        let Effects { old, new, ways_out, guessed } = effects;
        let mut way_out = ways_out.join("; or: ");
        if way_out.is_empty() {
            way_out = "split it: release what adds or loosens first, then what drops or tightens".into();
        }
        Self { statement, breaks_old: old, breaks_new: new, way_out, guessed, of: 0 }
    }

    /// Its verdict.
    pub fn verdict(&self) -> Verdict {
        match (self.breaks_old.is_empty(), self.breaks_new.is_empty()) {
            (true, _) => Verdict::Expand,
            (false, true) => Verdict::Contract,
            (false, false) => Verdict::BreaksBothWays,
        }
    }

    /// Why, for people: what breaks of the old code, then of the new one.
    pub fn reason(&self) -> String {
        let mut parts = Vec::new();
        if !self.breaks_old.is_empty() {
            parts.push(format!("the code before breaks on the new schema: {}", self.breaks_old.join("; ")));
        }
        if !self.breaks_old.is_empty() && !self.breaks_new.is_empty() {
            parts.push(format!("the new code breaks on the schema before: {}", self.breaks_new.join("; ")));
        }
        if parts.is_empty() {
            parts.push("the code before works on the new schema".into());
        }
        if self.guessed {
            parts.push("how it was before is not known".into());
        }
        parts.join("; ")
    }
}

/// The findings of a whole change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// One for each clause, or for clauses that belong together.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// The verdict on all of it, whose statements are applied together.
    pub fn verdict(&self) -> Verdict {
        if self.old_works() {
            Verdict::Expand
        } else if self.new_works() {
            Verdict::Contract
        } else {
            Verdict::BreaksBothWays
        }
    }

    /// The findings with this verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict() == verdict)
    }

    /// Whether the old code works on the new schema.
    pub fn old_works(&self) -> bool {
        self.findings.iter().all(|finding| finding.breaks_old.is_empty())
    }

    /// Whether the new code works on the old schema.
    pub fn new_works(&self) -> bool {
        self.findings.iter().all(|finding| finding.breaks_new.is_empty())
    }

    /// Whether something was judged without the table as it was.
    pub fn is_guessed(&self) -> bool {
        self.findings.iter().any(|finding| finding.guessed)
    }
}

/// The tables of a branch.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    tables: BTreeMap<String, Table>,
}

impl Schema {
    /// Reads CREATE TABLE statements. One that cannot be read leaves its table unknown.
    pub fn read<'a>(statements: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tables = BTreeMap::new();
        for sql in statements {
            for (statement, _) in statement::read(sql).unwrap_or_default() {
                if let Statement::CreateTable(table) = statement {
                    tables.insert(table.name.clone(), *table);
                }
            }
        }
        Self { tables }
    }

    fn table(&self, name: &str) -> Table {
        let unknown = || Table { name: name.to_owned(), ..Table::default() };
        self.tables.get(name).cloned().unwrap_or_else(unknown)
    }
}

/// Longer than any statement that PlanetScale shows; what is longer is not read.
const LONGEST_STATEMENT: usize = 1_048_576;

/// Judges statements that are applied together, in this order, to `before`. Never fails: what cannot be read breaks both
/// ways.
pub fn judge<'a>(statements: impl IntoIterator<Item = &'a str>, before: &Schema) -> Judgement {
    let mut schema = before.clone();
    let mut judgement = Judgement::default();
    for (of, sql) in statements.into_iter().enumerate() {
        let read = if sql.len() > LONGEST_STATEMENT {
            Err(tokens::Unreadable("it is too long".into()))
        } else {
            statement::read(sql)
        };
        let found = match read {
            Ok(statements) if statements.is_empty() => vec![unreadable(sql, "it says nothing")],
            Ok(statements) => statements
                .into_iter()
                .flat_map(|(statement, text)| findings(statement, text, &mut schema))
                .collect(),
            Err(tokens::Unreadable(why)) => vec![unreadable(sql, &why)],
        };
        judgement.findings.extend(found.into_iter().map(|finding| Finding { of, ..finding }));
    }
    judgement
}

fn unreadable(sql: &str, why: &str) -> Finding {
    let mut effects = Effects::default();
    let reason =
        format!("the statement cannot be read ({}), so nothing is known of it", text::shorten(why, 200));
    effects.breaks_old(reason.clone());
    effects.breaks_new(reason);
    effects.way_out("write it so that it can be read, or deploy it by hand when nobody needs the table");
    effects.guessed = true;
    Finding::new(sql.to_owned(), effects)
}

fn findings(statement: Statement, sql: String, schema: &mut Schema) -> Vec<Finding> {
    let mut effects = Effects::default();
    match statement {
        Statement::AlterTable { name, clauses } => return alter(&name, &sql, clauses, schema),
        Statement::CreateTable(table) => {
            effects
                .breaks_new(format!("every statement on `{}` fails, as it does not exist yet", table.name));
            schema.tables.insert(table.name.clone(), *table);
        }
        Statement::CopyTable(name) | Statement::CreateView(name) => {
            effects.breaks_new(format!("every statement on `{name}` fails, as it does not exist yet"));
        }
        Statement::DropTables(names) | Statement::DropViews(names) => {
            for name in names {
                effects.breaks_old(format!("every statement on `{name}` fails"));
                schema.tables.remove(&name);
            }
        }
        Statement::ChangeView(name) => {
            effects.breaks_old(format!("a statement on `{name}` that needs what the view had may fail"));
            effects.breaks_new(format!("a statement on `{name}` that needs what the view gets fails"));
            effects.way_out(format!(
                "1. release a second view beside `{name}` with code that uses it; 2. release the drop of `{name}`"
            ));
        }
        Statement::RenameTables(names) => {
            for (old, new) in names {
                let clause = Clause { text: String::new(), change: statement::Change::RenameTable(new) };
                let renamed = alter(&old, &sql, vec![clause], schema);
                for finding in renamed {
                    effects.add(Effects {
                        old: finding.breaks_old,
                        new: finding.breaks_new,
                        ways_out: vec![finding.way_out],
                        guessed: finding.guessed,
                    });
                }
            }
        }
    }
    vec![Finding::new(sql, effects)]
}

fn alter(name: &str, sql: &str, clauses: Vec<Clause>, schema: &mut Schema) -> Vec<Finding> {
    let texts: Vec<String> = clauses.iter().map(|clause| clause.text.clone()).collect();
    let before = schema.table(name);
    let mut altered = Altered::new(&before, clauses);
    let mut groups: Vec<(BTreeSet<usize>, Effects)> = Vec::new();
    for touched in std::mem::take(&mut altered.touched) {
        let (before, after) = (&altered.before, &altered.after);
        let mut effects = touched.effects;
        // What is guessed already says all that is known.
        if !effects.guessed {
            effects.add(match touched.kind {
                Named::Column => compare::column(before, after, &touched.name),
                Named::Key => compare::key(before, after, &touched.name),
                Named::ForeignKey => compare::foreign_key(before, after, &touched.name),
                Named::Check => compare::check(before, after, &touched.name),
                Named::Table => Effects::default(),
            });
        }
        groups.push((touched.clauses, effects));
    }
    let after = Table { name: altered.renamed.clone().unwrap_or_else(|| name.to_owned()), ..altered.after };
    schema.tables.remove(name);
    schema.tables.insert(after.name.clone(), after);
    let render = |of: &BTreeSet<usize>| {
        if texts.iter().any(String::is_empty) || of.len() == texts.len() {
            return sql.to_owned();
        }
        let chosen: Vec<&str> = of.iter().map(|index| texts[*index].as_str()).collect();
        format!("ALTER TABLE `{}` {}", name.replace('`', "``"), chosen.join(", "))
    };
    joined(groups, texts.len()).into_iter().map(|(of, effects)| Finding::new(render(&of), effects)).collect()
}

/// Joins what shares a clause, in the order of the clauses.
fn joined(groups: Vec<(BTreeSet<usize>, Effects)>, clauses: usize) -> Vec<(BTreeSet<usize>, Effects)> {
    // Each clause points at the first one that it belongs together with.
    let mut first: Vec<usize> = (0..clauses).collect();
    fn root(first: &[usize], mut of: usize) -> usize {
        while first[of] != of {
            of = first[of];
        }
        of
    }
    for (of, _) in &groups {
        let Some(least) = of.iter().map(|clause| root(&first, *clause)).min() else { continue };
        for clause in of {
            let root = root(&first, *clause);
            first[root] = least;
        }
    }
    let mut all: BTreeMap<usize, (BTreeSet<usize>, Effects)> = BTreeMap::new();
    for clause in 0..clauses {
        all.entry(root(&first, clause)).or_default().0.insert(clause);
    }
    for (of, effects) in groups {
        let Some(clause) = of.first() else { continue };
        all.entry(root(&first, *clause)).or_default().1.add(effects);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests;
