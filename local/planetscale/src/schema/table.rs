//! Tables, and their text as `SHOW CREATE TABLE` prints it.

use super::data_type::DataType;
use super::{literal, quoted, quoted_list};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<Key>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) checks: Vec<Check>,
    pub(super) options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub charset: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    /// The default value as SQL; `NULL` is the absence of one.
    pub default: Option<String>,
    pub on_update: Option<String>,
    pub auto_increment: bool,
    pub generated: Option<Generated>,
    pub invisible: bool,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    pub expression: String,
    pub stored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Primary,
    Unique,
    Plain,
    Fulltext,
    Spatial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub kind: KeyKind,
    /// Empty until the table gives a name to a key without one; `PRIMARY` for the primary key.
    pub name: String,
    pub parts: Vec<KeyPart>,
    pub invisible: bool,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    pub what: Indexed,
    /// How many characters of the column are indexed, if not all.
    pub prefix: Option<String>,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indexed {
    Column(String),
    Expression(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub table: String,
    pub references: Vec<String>,
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub expression: String,
    pub enforced: bool,
}

/// Table options; `AUTO_INCREMENT` is data, not schema, and is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub engine: String,
    pub charset: String,
    pub collation: String,
    pub comment: String,
    /// The others as they were written, sorted by name.
    pub others: Vec<(String, String)>,
    /// `PARTITION BY …`, or empty.
    pub partitioning: String,
}

impl Table {
    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The statement that creates it.
    pub fn to_sql(&self) -> String {
        let mut lines: Vec<String> =
            self.columns.iter().map(|column| column.to_sql(&[&self.options], NullDefault::Written)).collect();
        lines.extend(self.keys.iter().map(Key::to_sql));
        lines.extend(self.foreign_keys.iter().map(ForeignKey::to_sql));
        lines.extend(self.checks.iter().map(Check::to_sql));
        let body: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
        let mut sql = format!(
            "CREATE TABLE {} (\n{}\n) {}",
            quoted(&self.name),
            body.join(",\n"),
            self.options.to_sql()
        );
        if !self.options.partitioning.is_empty() {
            sql.push('\n');
            sql.push_str(&self.options.partitioning);
        }
        sql
    }

    /// The names of the columns that hold values of their own, that is, all but generated ones.
    pub fn own_columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| column.generated.is_none()).map(|column| column.name.as_str())
    }

    /// Whether there is a column with this name.
    pub fn has_column(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    /// The columns with values of their own that the other table has not: their names, and definitions that need no key.
    pub fn columns_not_in(&self, other: &Self) -> Vec<(&str, String)> {
        let missing = self.own_columns().filter(|name| !other.has_column(name));
        let definition = |name| {
            let column = Column { auto_increment: false, ..self.column(name)?.clone() };
            Some((name, column.to_sql(&[&self.options, &other.options], NullDefault::LeftOut)))
        };
        missing.filter_map(definition).collect()
    }

    /// The columns with values of their own that have another type in the other table: their names, and definitions of
    /// plain columns named `alias` of that type.
    pub fn columns_of_other_type(&self, other: &Self, alias: &str) -> Vec<(&str, String)> {
        let definition = |name| {
            let (own, theirs) = (self.column(name)?, other.column(name)?);
            let differs = own.data_type != theirs.data_type || own.charset != theirs.charset;
            let plain = Column {
                name: alias.to_owned(),
                nullable: true,
                default: None,
                on_update: None,
                auto_increment: false,
                comment: String::new(),
                ..theirs.clone()
            };
            let definition = plain.to_sql(&[&self.options, &other.options], NullDefault::LeftOut);
            differs.then_some((name, definition))
        };
        self.own_columns().filter_map(definition).collect()
    }

    /// The columns of each key that identifies every row, the primary key's first.
    pub fn row_keys(&self) -> Vec<Vec<&str>> {
        let is_whole = |part: &KeyPart| match &part.what {
            Indexed::Column(name) => {
                part.prefix.is_none() && self.column(name).is_some_and(|column| !column.nullable)
            }
            Indexed::Expression(_) => false,
        };
        let keys = self.keys.iter().filter(|key| key.is_unique() && key.parts.iter().all(is_whole));
        keys.map(|key| key.columns().collect()).collect()
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.kind == KeyKind::Primary)
    }
}

impl Column {
    /// The definition, its name first. The character set and collation are left out where they are those of all these
    /// tables' options.
    pub fn to_sql(&self, tables: &[&Options], null_default: NullDefault) -> String {
        let mut sql = format!("{} {}", quoted(&self.name), self.data_type);
        let mut push = |text: &str| {
            sql.push(' ');
            sql.push_str(text);
        };
        if let Some(charset) =
            self.charset.as_ref().filter(|c| tables.iter().any(|table| table.charset != **c))
        {
            push(&format!("CHARACTER SET {charset}"));
        }
        if let Some(collation) =
            self.collation.as_ref().filter(|c| tables.iter().any(|table| table.collation != **c))
        {
            push(&format!("COLLATE {collation}"));
        }
        if let Some(generated) = &self.generated {
            let kind = if generated.stored { "STORED" } else { "VIRTUAL" };
            push(&format!("GENERATED ALWAYS AS {} {kind}", generated.expression));
        }
        if !self.nullable {
            push("NOT NULL");
        } else if self.data_type.name == "timestamp" {
            push("NULL");
        }
        match &self.default {
            Some(default) => push(&format!("DEFAULT {default}")),
            None if self.nullable
                && null_default == NullDefault::Written
                && self.generated.is_none()
                && (!self.data_type.is_text_or_blob() || self.data_type.name == "json") =>
            {
                push("DEFAULT NULL");
            }
            None => {}
        }
        if let Some(on_update) = &self.on_update {
            push(&format!("ON UPDATE {on_update}"));
        }
        if self.auto_increment {
            push("AUTO_INCREMENT");
        }
        if self.invisible {
            push("INVISIBLE");
        }
        if !self.comment.is_empty() {
            push(&format!("COMMENT {}", literal(&self.comment)));
        }
        sql
    }
}

/// Whether `DEFAULT NULL` is written out: `SHOW CREATE TABLE` does, a deploy request's statements do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullDefault {
    Written,
    LeftOut,
}

impl Key {
    pub fn to_sql(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(KeyPart::to_sql).collect();
        let name = quoted(&self.name);
        let mut sql = match self.kind {
            KeyKind::Primary => "PRIMARY KEY".to_owned(),
            KeyKind::Unique => format!("UNIQUE KEY {name}"),
            KeyKind::Plain => format!("KEY {name}"),
            KeyKind::Fulltext => format!("FULLTEXT KEY {name}"),
            KeyKind::Spatial => format!("SPATIAL KEY {name}"),
        };
        sql.push_str(&format!(" ({})", parts.join(",")));
        if self.invisible {
            sql.push_str(" INVISIBLE");
        }
        if !self.comment.is_empty() {
            sql.push_str(&format!(" COMMENT {}", literal(&self.comment)));
        }
        sql
    }

    /// Whether equal values are refused.
    pub fn is_unique(&self) -> bool {
        matches!(self.kind, KeyKind::Primary | KeyKind::Unique)
    }

    /// The columns it indexes.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match &part.what {
            Indexed::Column(column) => Some(column.as_str()),
            Indexed::Expression(_) => None,
        })
    }
}

impl KeyPart {
    fn to_sql(&self) -> String {
        let mut sql = match &self.what {
            Indexed::Column(column) => quoted(column),
            Indexed::Expression(expression) => expression.clone(),
        };
        if let Some(prefix) = &self.prefix {
            sql.push_str(&format!("({prefix})"));
        }
        if self.descending {
            sql.push_str(" DESC");
        }
        sql
    }
}

impl ForeignKey {
    pub fn to_sql(&self) -> String {
        let mut sql = format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({})",
            quoted(&self.name),
            quoted_list(&self.columns),
            quoted(&self.table),
            quoted_list(&self.references)
        );
        for (event, action) in [("DELETE", &self.on_delete), ("UPDATE", &self.on_update)] {
            if let Some(action) = action {
                sql.push_str(&format!(" ON {event} {action}"));
            }
        }
        sql
    }
}

impl Check {
    pub fn to_sql(&self) -> String {
        let not_enforced = if self.enforced { "" } else { " NOT ENFORCED" };
        format!("CONSTRAINT {} CHECK {}{not_enforced}", quoted(&self.name), self.expression)
    }
}

impl Options {
    /// The value that takes one of the other options away.
    pub fn default_of(name: &str) -> &'static str {
        if name == "KEY_BLOCK_SIZE" { "0" } else { "DEFAULT" }
    }

    pub fn to_sql(&self) -> String {
        let mut options = vec![
            format!("ENGINE={}", self.engine),
            format!("DEFAULT CHARSET={}", self.charset),
            format!("COLLATE={}", self.collation),
        ];
        options.extend(self.others.iter().map(|(name, value)| format!("{name}={value}")));
        if !self.comment.is_empty() {
            options.push(format!("COMMENT={}", literal(&self.comment)));
        }
        options.join(" ")
    }
}
