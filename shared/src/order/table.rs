//! Tables, as their CREATE TABLE describes them.

use super::charset;
use super::data_type::DataType;

/// A table. Of one that is not `known` only what statements mentioned is here.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub name: String,
    pub known: bool,
    pub columns: Vec<Column>,
    pub keys: Vec<Key>,
    pub foreign_keys: Vec<ForeignKey>,
    pub checks: Vec<Check>,
    pub partitions: Option<Partitions>,
    pub charset: Option<String>,
    pub collation: Option<String>,
    pub engine: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The name it had before; none if the change adds it.
    pub origin: Option<String>,
    /// None if nothing but its name is known.
    pub definition: Option<Definition>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub data_type: DataType,
    /// The type as it is written.
    pub written_type: String,
    pub nullable: bool,
    pub default: Default,
    pub auto_increment: bool,
    pub generated: Option<String>,
    pub invisible: bool,
    pub charset: Option<String>,
    pub collation: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// None is written: NULL where NULL is allowed.
    Unwritten,
    Null,
    Value(String),
    /// `DROP DEFAULT` took it away: an INSERT has to name even a nullable column.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Primary,
    Unique,
    Plain,
    Fulltext,
    /// A key of which only the name is known.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub kind: KeyKind,
    pub name: String,
    pub parts: Vec<KeyPart>,
    pub invisible: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// A column's name in lower case, or an expression.
    pub what: String,
    pub is_expression: bool,
    pub prefix: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
    pub on_delete: &'static str,
    pub on_update: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub name: String,
    pub expression: String,
    pub enforced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// All of it, in one form.
    pub written: String,
    /// Whether every value has a partition.
    pub takes_everything: bool,
    pub names: Vec<String>,
}

pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || !(one.is_ascii() && other.is_ascii()) && one.to_lowercase() == other.to_lowercase()
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    pub fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| same(&column.name, name))
    }

    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| same(&key.name, name))
    }

    /// The character set and collation of a column; none where they depend on what is not known.
    pub fn characters(&self, definition: &Definition) -> (Option<String>, Option<String>) {
        if definition.data_type == DataType::Json {
            return (Some("utf8mb4".into()), Some("utf8mb4_bin".into()));
        }
        let (charset, collation) = match (&definition.charset, &definition.collation) {
            (charset, Some(collation)) => {
                (charset.clone().unwrap_or_else(|| charset::of_collation(collation)), Some(collation.clone()))
            }
            (Some(charset), None) => (charset.clone(), None),
            (None, None) => match (&self.charset, &self.collation) {
                (charset, Some(collation)) => (
                    charset.clone().unwrap_or_else(|| charset::of_collation(collation)),
                    Some(collation.clone()),
                ),
                (Some(charset), None) => (charset.clone(), None),
                (None, None) => return (None, None),
            },
        };
        let collation = collation.unwrap_or_else(|| charset::default_collation(&charset));
        (Some(charset), Some(collation))
    }

    /// Marks the columns of the primary key as NOT NULL.
    pub fn settle_primary_key(&mut self) {
        let Some(key) = self.keys.iter().find(|key| key.kind == KeyKind::Primary).cloned() else { return };
        for part in &key.parts {
            if let Some(Column { definition: Some(definition), .. }) = self.column_mut(&part.what) {
                definition.nullable = false;
            }
        }
    }
}

impl Definition {
    /// Whether an INSERT may leave the column out.
    pub fn may_be_left_out(&self) -> bool {
        if self.auto_increment || self.generated.is_some() {
            return true;
        }
        match self.default {
            Default::Value(_) => true,
            Default::Dropped => false,
            Default::Unwritten | Default::Null => self.nullable || self.data_type.has_implicit_default(),
        }
    }

    /// Whether a row whose INSERT leaves the column out has NULL there.
    pub fn is_null_when_left_out(&self) -> bool {
        self.nullable
            && !self.auto_increment
            && self.generated.is_none()
            && matches!(self.default, Default::Unwritten | Default::Null)
    }
}

impl Key {
    pub fn is_unique(&self) -> bool {
        matches!(self.kind, KeyKind::Primary | KeyKind::Unique)
    }

    /// Whether rows that differ for `other` always differ for this key, so that it refuses nothing more.
    pub fn is_no_stricter_than(&self, other: &Self) -> bool {
        other.parts.iter().all(|of_other| {
            self.parts.iter().any(|part| {
                part.what == of_other.what
                    && match (part.prefix, of_other.prefix) {
                        (None, _) => true,
                        (Some(prefix), Some(of_other)) => prefix >= of_other,
                        (Some(_), None) => false,
                    }
            })
        })
    }

    pub fn names_column(&self, column: &str) -> bool {
        let column = column.to_lowercase();
        self.parts
            .iter()
            .any(|part| part.what == column || (part.is_expression && mentions(&part.what, &column)))
    }
}

impl Check {
    /// Whether every row whose `column` is NULL passes: a comparison with NULL is unknown, and unknown passes.
    pub fn passes_null_of(&self, column: &str, others: &Table) -> bool {
        let words: Vec<&str> = self.expression.split(' ').collect();
        let names_others = others.columns.iter().any(|other| {
            !same(&other.name, column) && mentions(&self.expression, &other.name.to_lowercase())
        });
        let simple = words.iter().all(|word| {
            !matches!(
                *word,
                "is" | "or"
                    | "not"
                    | "<=>"
                    | "case"
                    | "if"
                    | "ifnull"
                    | "coalesce"
                    | "isnull"
                    | "nullif"
                    | "xor"
            )
        });
        !names_others && simple && words.iter().any(|word| same(word, column))
    }
}

/// Whether `name` (in lower case) is a word of an expression in one form.
pub fn mentions(expression: &str, name: &str) -> bool {
    expression.split(' ').any(|word| word == name)
}
