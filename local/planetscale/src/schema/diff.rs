//! The statements that make one schema into another.
//!
//! Written as PlanetScale writes them: names in backticks, one ALTER for each table. Two schemas do not tell a rename
//! from a drop and an add, so a renamed column is the latter, as in PlanetScale's documentation.

use std::collections::BTreeSet;

use super::table::{Column, Key, NullDefault, Options, Table};
use super::{Schema, literal, quoted};

/// What is done to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Alter,
    Drop,
}

impl Operation {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Alter => "ALTER",
            Self::Drop => "DROP",
        }
    }
}

/// The change of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDiff {
    /// The table.
    pub table: String,
    /// What is done to it.
    pub operation: Operation,
    /// The statement that does it.
    pub statement: String,
    /// Whether rows or values can be lost: tables and columns that go, types that hold less.
    pub can_drop_data: bool,
    /// Whether MySQL could do it with instant DDL.
    pub is_instant: bool,
    /// The foreign keys that go.
    pub removed_foreign_keys: Vec<String>,
}

/// The changes from one schema to the other, by table.
pub fn diff(from: &Schema, to: &Schema) -> Vec<TableDiff> {
    let names: BTreeSet<&String> = from.tables.keys().chain(to.tables.keys()).collect();
    let changes = names.into_iter().filter_map(|name| match (from.tables.get(name), to.tables.get(name)) {
        (None, Some(table)) => Some(TableDiff {
            table: name.clone(),
            operation: Operation::Create,
            statement: table.to_sql(),
            can_drop_data: false,
            is_instant: true,
            removed_foreign_keys: Vec::new(),
        }),
        (Some(table), None) => Some(TableDiff {
            table: name.clone(),
            operation: Operation::Drop,
            statement: format!("DROP TABLE {}", quoted(name)),
            can_drop_data: true,
            is_instant: true,
            removed_foreign_keys: table.foreign_keys.iter().map(|key| key.name.clone()).collect(),
        }),
        (Some(before), Some(after)) => Alter::new(before, after).into_diff(),
        (None, None) => None,
    });
    changes.collect()
}

/// The ALTER of one table in the making.
struct Alter<'a> {
    from: &'a Table,
    to: &'a Table,
    clauses: Vec<String>,
    can_drop_data: bool,
    is_instant: bool,
    removed_foreign_keys: Vec<String>,
}

impl<'a> Alter<'a> {
    fn new(from: &'a Table, to: &'a Table) -> Self {
        Self {
            from,
            to,
            clauses: Vec::new(),
            can_drop_data: false,
            is_instant: true,
            removed_foreign_keys: Vec::new(),
        }
    }

    fn into_diff(mut self) -> Option<TableDiff> {
        self.drop_constraints_and_keys();
        self.change_columns();
        self.add_keys_and_constraints();
        self.change_options();
        let partitioning = self.partitioning().map(str::to_owned);
        let clauses = (!self.clauses.is_empty()).then(|| self.clauses.join(", "));
        let changes: Vec<&str> = clauses.iter().chain(&partitioning).map(String::as_str).collect();
        if changes.is_empty() {
            return None;
        }
        Some(TableDiff {
            table: self.to.name.clone(),
            operation: Operation::Alter,
            statement: format!("ALTER TABLE {} {}", quoted(&self.to.name), changes.join(" ")),
            can_drop_data: self.can_drop_data,
            is_instant: self.is_instant && partitioning.is_none(),
            removed_foreign_keys: self.removed_foreign_keys,
        })
    }

    fn push(&mut self, clause: String, is_instant: bool) {
        self.clauses.push(clause);
        self.is_instant &= is_instant;
    }

    fn drop_constraints_and_keys(&mut self) {
        for key in self.from.foreign_keys.iter().filter(|key| !self.to.foreign_keys.contains(key)) {
            self.removed_foreign_keys.push(key.name.clone());
            self.push(format!("DROP FOREIGN KEY {}", quoted(&key.name)), false);
        }
        for check in self.from.checks.iter().filter(|check| !self.to.checks.contains(check)) {
            self.push(format!("DROP CHECK {}", quoted(&check.name)), false);
        }
        for key in self.from.keys.iter().filter(|key| !self.to.keys.contains(key)) {
            self.push(drop_key(key), false);
        }
    }

    fn add_keys_and_constraints(&mut self) {
        for key in self.to.keys.iter().filter(|key| !self.from.keys.contains(key)) {
            self.push(format!("ADD {}", key.to_sql()), false);
        }
        for check in self.to.checks.iter().filter(|check| !self.from.checks.contains(check)) {
            self.push(format!("ADD {}", check.to_sql()), false);
        }
        for key in self.to.foreign_keys.iter().filter(|key| !self.from.foreign_keys.contains(key)) {
            self.push(format!("ADD {}", key.to_sql()), false);
        }
    }

    fn change_columns(&mut self) {
        let (from, to) = (self.from, self.to);
        for column in from.columns.iter().filter(|column| to.column(&column.name).is_none()) {
            self.push(format!("DROP COLUMN {}", quoted(&column.name)), true);
            self.can_drop_data |= column.generated.is_none();
        }
        let still: Vec<&str> = kept_in_place(from, to);
        // The columns in the order they have once the clauses so far are done.
        let mut order: Vec<&str> = from
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| to.column(name).is_some())
            .collect();
        for (index, column) in to.columns.iter().enumerate() {
            let name = column.name.as_str();
            let previous = index.checked_sub(1).map(|index| to.columns[index].name.as_str());
            match from.column(name) {
                None => {
                    let is_last = order.last().copied() == previous;
                    let place = place_after(previous, is_last);
                    let is_instant =
                        !column.auto_increment && column.generated.as_ref().is_none_or(|g| !g.stored);
                    self.push(format!("ADD COLUMN {}{place}", self.definition(column)), is_instant);
                    insert_after(&mut order, name, previous);
                }
                Some(before) => {
                    let moves = !still.contains(&name);
                    if moves || before != column {
                        let place = place_after(previous, !moves);
                        self.push(
                            format!("MODIFY COLUMN {}{place}", self.definition(column)),
                            !moves && only_default_differs(before, column),
                        );
                        self.can_drop_data |= loses_values(before, column);
                    }
                    if moves {
                        order.retain(|other| *other != name);
                        insert_after(&mut order, name, previous);
                    }
                }
            }
        }
    }

    /// The definition of a column, the same under the table's options before and after.
    fn definition(&self, column: &Column) -> String {
        column.to_sql(&[&self.from.options, &self.to.options], NullDefault::LeftOut)
    }

    fn change_options(&mut self) {
        let (from, to) = (&self.from.options, &self.to.options);
        let mut options = Vec::new();
        if from.engine != to.engine {
            options.push(format!("ENGINE {}", to.engine));
        }
        if from.charset != to.charset {
            options.push(format!("CHARSET {}", to.charset));
        }
        if from.collation != to.collation {
            options.push(format!("COLLATE {}", to.collation));
        }
        for (name, value) in to.others.iter().filter(|option| !from.others.contains(option)) {
            options.push(format!("{name} {value}"));
        }
        for (name, _) in
            from.others.iter().filter(|(name, _)| to.others.iter().all(|(other, _)| other != name))
        {
            options.push(format!("{name} {}", Options::default_of(name)));
        }
        if from.comment != to.comment {
            options.push(format!("COMMENT {}", literal(&to.comment)));
        }
        if !options.is_empty() {
            self.push(options.join(" "), false);
        }
    }

    /// The words that change how the table is divided; unlike the others they follow without a comma.
    fn partitioning(&self) -> Option<&str> {
        match (&self.from.options.partitioning, &self.to.options.partitioning) {
            (before, after) if before == after => None,
            (_, after) if after.is_empty() => Some("REMOVE PARTITIONING"),
            (_, after) => Some(after),
        }
    }
}

fn drop_key(key: &Key) -> String {
    match key.name.as_str() {
        "PRIMARY" => "DROP PRIMARY KEY".into(),
        name => format!("DROP KEY {}", quoted(name)),
    }
}

/// The words that put a column after another one, or first; none if it is there anyway.
fn place_after(previous: Option<&str>, is_there: bool) -> String {
    match (is_there, previous) {
        (true, _) => String::new(),
        (false, None) => " FIRST".into(),
        (false, Some(name)) => format!(" AFTER {}", quoted(name)),
    }
}

fn insert_after<'a>(order: &mut Vec<&'a str>, name: &'a str, previous: Option<&str>) {
    let index =
        previous.and_then(|p| order.iter().position(|other| *other == p)).map_or(0, |index| index + 1);
    order.insert(index, name);
}

/// The columns of both tables that need not move: the longest run of them whose order is the same.
fn kept_in_place<'a>(from: &Table, to: &'a Table) -> Vec<&'a str> {
    let position = |name: &str| from.columns.iter().position(|column| column.name == name);
    let common: Vec<(&str, usize)> = to
        .columns
        .iter()
        .filter_map(|column| Some((column.name.as_str(), position(&column.name)?)))
        .collect();
    // The longest run that ends with each column, and the column before in it.
    let mut longest: Vec<(usize, Option<usize>)> = Vec::new();
    for (index, (_, place)) in common.iter().enumerate() {
        let best =
            (0..index).filter(|before| common[*before].1 < *place).max_by_key(|before| longest[*before].0);
        longest.push((best.map_or(1, |before| longest[before].0 + 1), best));
    }
    let mut kept = Vec::new();
    let mut at = (0..common.len()).max_by_key(|index| longest[*index].0);
    while let Some(index) = at {
        kept.push(common[index].0);
        at = longest[index].1;
    }
    kept
}

fn only_default_differs(before: &Column, after: &Column) -> bool {
    let same = Column { default: after.default.clone(), comment: after.comment.clone(), ..before.clone() };
    let grown = Column { data_type: after.data_type.clone(), ..same.clone() };
    let is_grown_list = matches!(before.data_type.name.as_str(), "enum" | "set")
        && !before.data_type.loses_values_in(&after.data_type);
    same == *after || (is_grown_list && grown == *after)
}

fn loses_values(before: &Column, after: &Column) -> bool {
    let charset_shrinks = match (&before.charset, &after.charset) {
        (Some(from), Some(to)) => from != to && to != "utf8mb4",
        _ => false,
    };
    before.data_type.loses_values_in(&after.data_type) || charset_shrinks
}
