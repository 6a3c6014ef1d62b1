//! What PlanetScale's schema lint finds in a schema that was written for MySQL.

use super::table::{Indexed, Table};
use super::{Schema, quoted};

/// A lint's code (PlanetScale's documentation on schema lint errors). Codes about sharding, `VSchemas`, routing rules
/// and views are left out: there are none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LintCode {
    NoUniqueKey,
    BlobInUniqueKey,
    PartialKeyInUniqueKey,
    ForeignKeysDisallowed,
    ForeignKeysNonexistentTable,
    InvalidCharset,
    DuplicateEnumValue,
}

impl LintCode {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoUniqueKey => "NO_UNIQUE_KEY",
            Self::BlobInUniqueKey => "BLOB_IN_UNIQUE_KEY",
            Self::PartialKeyInUniqueKey => "PARTIAL_KEY_IN_UNIQUE_KEY",
            Self::ForeignKeysDisallowed => "FOREIGN_KEYS_DISALLOWED",
            Self::ForeignKeysNonexistentTable => "FOREIGN_KEYS_NONEXISTENT_TABLE",
            Self::InvalidCharset => "INVALID_CHARSET",
            Self::DuplicateEnumValue => "DUPLICATE_ENUM_VALUE",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    pub code: LintCode,
    pub table: String,
    pub description: String,
    pub column: String,
    pub foreign_key_columns: Vec<String>,
    pub charset: String,
    pub enum_value: String,
}

/// The character sets that Vitess reads.
const CHARSETS: [&str; 5] = ["utf8mb4", "utf8mb3", "latin1", "ascii", "binary"];

/// What is wrong with a schema, table by table.
pub fn lint(schema: &Schema, foreign_keys_enabled: bool) -> Vec<Lint> {
    let mut found = Vec::new();
    for table in schema.tables() {
        unique_key(table, &mut found);
        for key in &table.foreign_keys {
            let lint = if !foreign_keys_enabled {
                let description = format!(
                    "table \"{}\" has a foreign key constraint: foreign key constraints are not enabled for this database.",
                    table.name
                );
                Lint::new(LintCode::ForeignKeysDisallowed, table, description)
            } else if schema.table(&key.table).is_none() {
                let description = format!(
                    "table \"{}\" has a foreign key to table \"{}\", which does not exist.",
                    table.name, key.table
                );
                Lint::new(LintCode::ForeignKeysNonexistentTable, table, description)
            } else {
                continue;
            };
            found.push(Lint { foreign_key_columns: key.columns.clone(), ..lint });
        }
        charsets(table, &mut found);
        enum_values(table, &mut found);
    }
    found
}

impl Lint {
    fn new(code: LintCode, table: &Table, description: String) -> Self {
        Self {
            code,
            table: table.name.clone(),
            description,
            column: String::new(),
            foreign_key_columns: Vec::new(),
            charset: String::new(),
            enum_value: String::new(),
        }
    }
}

fn unique_key(table: &Table, found: &mut Vec<Lint>) {
    let unique: Vec<_> = table.keys.iter().filter(|key| key.is_unique()).collect();
    let is_blob = |name: &str| table.column(name).is_some_and(|column| column.data_type.is_text_or_blob());
    let is_null = |name: &str| table.column(name).is_none_or(|column| column.nullable);
    let is_usable = |key: &&super::table::Key| {
        key.parts.iter().all(|part| match &part.what {
            Indexed::Column(name) => part.prefix.is_none() && !is_blob(name) && !is_null(name),
            Indexed::Expression(_) => false,
        })
    };
    if unique.iter().any(is_usable) {
        return;
    }
    for key in &unique {
        for part in &key.parts {
            let Indexed::Column(name) = &part.what else { continue };
            let (code, what) = if is_blob(name) {
                (LintCode::BlobInUniqueKey, "a text / blob column")
            } else if part.prefix.is_some() {
                (LintCode::PartialKeyInUniqueKey, "a part of a column")
            } else {
                continue;
            };
            let description = format!(
                "table \"{}\" has only unique keys that cannot be used: {} covers {what}, {}.",
                table.name,
                quoted(&key.name),
                quoted(name)
            );
            found.push(Lint { column: name.clone(), ..Lint::new(code, table, description) });
        }
    }
    let description = format!(
        "table \"{}\" has no unique key: all tables must have at least one unique, not-null key without using text / blob columns or partial indexes.",
        table.name
    );
    found.push(Lint::new(LintCode::NoUniqueKey, table, description));
}

fn charsets(table: &Table, found: &mut Vec<Lint>) {
    let columns =
        table.columns.iter().filter_map(|column| Some((column.name.as_str(), column.charset.as_ref()?)));
    let of_table = std::iter::once(("", &table.options.charset));
    let mut seen = Vec::new();
    for (column, charset) in of_table.chain(columns) {
        if CHARSETS.contains(&charset.as_str()) || seen.contains(&charset) {
            continue;
        }
        seen.push(charset);
        let description =
            format!("table \"{}\" uses the character set {charset}, which is not supported.", table.name);
        found.push(Lint {
            column: column.to_owned(),
            charset: charset.clone(),
            ..Lint::new(LintCode::InvalidCharset, table, description)
        });
    }
}

fn enum_values(table: &Table, found: &mut Vec<Lint>) {
    for column in
        table.columns.iter().filter(|column| matches!(column.data_type.name.as_str(), "enum" | "set"))
    {
        let values = &column.data_type.arguments;
        let twice = values.iter().enumerate().find(|(index, value)| values[..*index].contains(value));
        if let Some((_, value)) = twice {
            let description = format!(
                "column \"{}\" of table \"{}\" has the value \"{value}\" more than once.",
                column.name, table.name
            );
            found.push(Lint {
                column: column.name.clone(),
                enum_value: value.clone(),
                ..Lint::new(LintCode::DuplicateEnumValue, table, description)
            });
        }
    }
}
