//! Data types of columns.

use std::fmt;

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::{SchemaError, literal};

/// A data type in MySQL's own form, such as `int unsigned`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataType {
    /// The name in lower case.
    pub name: String,
    /// What stands in the parentheses: numbers, or the values of an enum or set.
    pub arguments: Vec<String>,
    pub unsigned: bool,
    pub zerofill: bool,
}

const INTEGERS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];
const TEXTS: [&str; 4] = ["tinytext", "text", "mediumtext", "longtext"];
const BLOBS: [&str; 4] = ["tinyblob", "blob", "mediumblob", "longblob"];
const TIMES: [&str; 3] = ["time", "datetime", "timestamp"];
const OTHERS: [&str; 17] = [
    "date",
    "year",
    "json",
    "bit",
    "binary",
    "varbinary",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "vector",
    "uuid",
    "inet6",
];

impl DataType {
    /// Reads a data type.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SchemaError> {
        let at_type = cursor.expected("a data type");
        let written = cursor.name()?.to_ascii_lowercase();
        let mut name = match written.as_str() {
            "integer" => "int",
            "bool" | "boolean" => "tinyint",
            "dec" | "numeric" | "fixed" => "decimal",
            "real" => "double",
            "character" => "char",
            other => other,
        }
        .to_owned();
        if name == "double" {
            cursor.takes("PRECISION");
        }
        if name == "char" && cursor.takes("VARYING") {
            name = "varchar".into();
        }
        let is_list = name == "enum" || name == "set";
        let arguments = match (is_list, cursor.sees_token(&Token::LParen)) {
            (true, _) => cursor.list(Cursor::string)?,
            (false, true) => cursor.list(Cursor::number)?,
            (false, false) => Vec::new(),
        };
        let mut unsigned = false;
        let mut zerofill = false;
        while let Some(attribute) = cursor.takes_one_of(&["UNSIGNED", "SIGNED", "ZEROFILL"]) {
            unsigned |= attribute != "SIGNED";
            zerofill |= attribute == "ZEROFILL";
        }
        let mut data_type = Self { name, arguments, unsigned, zerofill };
        if matches!(written.as_str(), "bool" | "boolean") {
            data_type.arguments = vec!["1".into()];
        }
        data_type.normalize(at_type)
    }

    fn normalize(mut self, at_type: SchemaError) -> Result<Self, SchemaError> {
        let first = self.arguments.first().cloned();
        match self.name.as_str() {
            name if INTEGERS.contains(&name) => {
                let is_boolean = name == "tinyint" && first.as_deref() == Some("1") && !self.unsigned;
                if !is_boolean && !self.zerofill {
                    self.arguments.clear();
                }
            }
            "decimal" => {
                self.arguments.extend(["10", "0"].into_iter().skip(self.arguments.len()).map(str::to_owned));
            }
            "float" if self.arguments.len() == 1 => {
                let bits = first.and_then(|bits| bits.parse::<u8>().ok()).unwrap_or_default();
                self.name = if bits > 24 { "double".into() } else { "float".into() };
                self.arguments.clear();
            }
            "float" | "double" | "enum" | "set" => {}
            "char" | "binary" | "bit" if first.is_none() => self.arguments = vec!["1".into()],
            "varchar" | "varbinary" if first.is_none() => {
                return Err(SchemaError::syntax(format!("{} needs a length in parentheses", self.name)));
            }
            "char" | "varchar" => {}
            name if TIMES.contains(&name) => self.arguments.retain(|digits| digits != "0"),
            name if TEXTS.contains(&name) || BLOBS.contains(&name) || matches!(name, "date" | "year") => {
                self.arguments.clear();
            }
            name if OTHERS.contains(&name) => {}
            _ => return Err(at_type),
        }
        Ok(self)
    }

    /// The type of `SERIAL` columns.
    pub fn serial() -> Self {
        Self { name: "bigint".into(), arguments: Vec::new(), unsigned: true, zerofill: false }
    }

    pub fn is_text_or_blob(&self) -> bool {
        let name = self.name.as_str();
        TEXTS.contains(&name) || BLOBS.contains(&name) || name == "json"
    }

    /// Whether values are characters, which have a character set.
    pub fn has_characters(&self) -> bool {
        let name = self.name.as_str();
        matches!(name, "char" | "varchar" | "enum" | "set") || TEXTS.contains(&name)
    }

    /// Whether a value can be lost when a column changes from this type to the other.
    pub fn loses_values_in(&self, to: &Self) -> bool {
        if self == to {
            return false;
        }
        let rank = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
        for family in [&INTEGERS[..], &TEXTS[..], &BLOBS[..]] {
            if let (Some(from), Some(into)) = (rank(family, &self.name), rank(family, &to.name)) {
                let grows = into > from;
                let sign_fits = self.unsigned == to.unsigned || (self.unsigned && grows);
                return into < from || !sign_fits;
            }
        }
        let numbers = |data_type: &Self| -> Vec<u64> {
            data_type.arguments.iter().map(|number| number.parse().unwrap_or_default()).collect()
        };
        match (self.name.as_str(), to.name.as_str()) {
            ("char" | "varchar", "char" | "varchar") | ("binary" | "varbinary", "binary" | "varbinary") => {
                numbers(to) < numbers(self)
            }
            ("char" | "varchar", text) if TEXTS.contains(&text) => text == "tinytext",
            ("decimal", "decimal") => {
                let (from, into) = (numbers(self), numbers(to));
                let integer_digits = |digits: &[u64]| digits[0].saturating_sub(digits[1]);
                into[1] < from[1]
                    || integer_digits(&into) < integer_digits(&from)
                    || (to.unsigned && !self.unsigned)
            }
            ("float", "float" | "double") => to.unsigned && !self.unsigned,
            ("enum", "enum") | ("set", "set") => !to.arguments.starts_with(&self.arguments),
            (from, into) if from == into && TIMES.contains(&from) => numbers(to) < numbers(self),
            ("bit", "bit") => numbers(to) < numbers(self),
            ("date", "datetime") => false,
            _ => true,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if !self.arguments.is_empty() {
            let is_list = matches!(self.name.as_str(), "enum" | "set");
            let arguments: Vec<String> =
                self.arguments.iter().map(|a| if is_list { literal(a) } else { a.clone() }).collect();
            write!(formatter, "({})", arguments.join(","))?;
        }
        if self.unsigned {
            formatter.write_str(" unsigned")?;
        }
        if self.zerofill {
            formatter.write_str(" zerofill")?;
        }
        Ok(())
    }
}
