//! Schemas: what DDL statements mean, and how two schemas differ.
//!
//! MySQL's rules as far as a deploy request can see them. Text goes in and out in MySQL's form: what
//! `SHOW CREATE TABLE` prints can be read, and [`Table::to_sql`] prints that form.

mod apply;
mod cursor;
mod data_type;
mod dialect;
mod diff;
mod highlight;
mod lint;
mod parse;
mod table;

use std::collections::BTreeMap;

use thiserror::Error;

pub use dialect::Dialect;
pub use diff::{Operation, TableDiff, diff};
pub use highlight::highlight;
pub use lint::{Lint, LintCode, lint};
pub use parse::{Script, Statement};
pub use table::Table;

/// The tables of one branch, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    tables: BTreeMap<String, Table>,
}

/// Why a statement is refused, with MySQL's error number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (errno {number})")]
pub struct SchemaError {
    /// MySQL's number of the error.
    pub number: u16,
    /// What is wrong and where.
    pub message: String,
}

impl SchemaError {
    pub(crate) fn new(number: u16, message: impl Into<String>) -> Self {
        Self { number, message: message.into() }
    }

    fn syntax(message: impl Into<String>) -> Self {
        Self::new(1064, format!("You have an error in your SQL syntax: {}", message.into()))
    }
}

impl Schema {
    /// The schema that these CREATE TABLE statements describe.
    ///
    /// # Errors
    /// When one of them is not a statement that can be applied.
    pub fn from_tables<T: AsRef<str>>(statements: impl IntoIterator<Item = T>) -> Result<Self, SchemaError> {
        let mut schema = Self::default();
        for statement in statements {
            schema.run(&Script::parse(statement.as_ref())?)?;
        }
        Ok(schema)
    }

    /// Applies a script: all of it, or on an error nothing.
    ///
    /// # Errors
    /// What MySQL would say to the first statement that does not fit.
    pub fn run(&mut self, script: &Script) -> Result<(), SchemaError> {
        let mut changed = self.clone();
        for (statement, _) in script.statements() {
            changed.apply(statement)?;
        }
        *self = changed;
        Ok(())
    }

    /// What becomes of this schema by these statements.
    ///
    /// # Errors
    /// What MySQL would say to the first statement that does not fit.
    pub fn changed(&self, statements: &[String]) -> Result<Self, SchemaError> {
        let mut changed = self.clone();
        for statement in statements {
            changed.run(&Script::parse(statement)?)?;
        }
        Ok(changed)
    }

    /// The tables, by name.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Table> {
        self.tables.values()
    }

    /// The table with this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// This schema with the given tables as they are in `other`.
    pub fn with_tables_of<'a>(&self, other: &Self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut mixed = self.clone();
        for name in names {
            match other.tables.get(name) {
                Some(table) => mixed.tables.insert(name.to_owned(), table.clone()),
                None => mixed.tables.remove(name),
            };
        }
        mixed
    }
}

/// An identifier in backticks.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A list of identifiers in backticks.
fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",")
}

/// A string literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
