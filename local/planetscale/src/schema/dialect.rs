//! What other servers than MySQL write otherwise.

use sqlparser::dialect::MySqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::parse::{ColumnPart, Script, Statement, TableOption, TablePart};
use super::{Schema, SchemaError, quoted};

/// The server's way to write what MySQL writes.
#[derive(Debug, Clone, Default)]
pub struct Dialect {
    is_mariadb: bool,
    /// MySQL's collation and the one that stands for it.
    collations: Vec<(String, String)>,
}

impl Dialect {
    /// The dialect of a server by its `VERSION()`, which has the given collations in place of MySQL's.
    pub fn new(version: &str, collations: Vec<(String, String)>) -> Self {
        Self { is_mariadb: version.contains("MariaDB"), collations }
    }

    /// The collation that stands for MySQL's.
    pub fn collation<'a>(&'a self, mysql: &'a str) -> &'a str {
        self.collations.iter().find(|(of_mysql, _)| of_mysql == mysql).map_or(mysql, |(_, own)| own)
    }

    /// A `CREATE TABLE` of the server as MySQL would print it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn to_mysql(&self, text: &str) -> Result<String, SchemaError> {
        let mut schema = Schema::default();
        for (statement, _) in Script::parse(text)?.statements() {
            schema.apply(&self.statement_to_mysql(statement.clone()))?;
        }
        Ok(schema.tables().map(|table| table.to_sql()).collect())
    }

    /// A statement of MySQL as the server reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_mysql(&self, statement: &str) -> Result<String, SchemaError> {
        if !self.is_mariadb {
            return Ok(statement.to_owned());
        }
        let script = Script::parse(statement)?;
        let [(Statement::CreateTable { if_not_exists, .. }, _)] = script.statements() else {
            return self.words_from_mysql(statement);
        };
        // In MySQL's own words nothing is left to MariaDB's defaults: names of constraints, character sets.
        let table: String =
            Schema::default().changed(&[statement.to_owned()])?.tables().map(|t| t.to_sql()).collect();
        let create = if *if_not_exists { "CREATE TABLE IF NOT EXISTS" } else { "CREATE TABLE" };
        self.words_from_mysql(&table.replacen("CREATE TABLE", create, 1))
    }

    fn words_from_mysql(&self, statement: &str) -> Result<String, SchemaError> {
        let tokens = Tokenizer::new(&MySqlDialect {}, statement)
            .with_unescape(false)
            .tokenize()
            .map_err(|error| SchemaError::syntax(error.to_string()))?;
        let mut text = String::new();
        let mut last = String::new();
        for token in tokens {
            let written = match &token {
                Token::Word(Word { value, quote_style: None, .. }) => {
                    let word = value.to_ascii_uppercase();
                    // MariaDB drops every constraint by this word.
                    let is_dropped_check = last == "DROP" && word == "CHECK";
                    last = word;
                    let own = self.collation(&value.to_ascii_lowercase()).to_owned();
                    if is_dropped_check {
                        "CONSTRAINT".to_owned()
                    } else if own.eq_ignore_ascii_case(value) {
                        value.clone()
                    } else {
                        own
                    }
                }
                other => other.to_string(),
            };
            text.push_str(&written);
        }
        Ok(text)
    }

    fn statement_to_mysql(&self, statement: Statement) -> Statement {
        let Statement::CreateTable { name, if_not_exists, parts, options } = statement else {
            return statement;
        };
        let parts = parts.into_iter().map(|part| match part {
            TablePart::Column(column) => TablePart::Column(self.column_to_mysql(column)),
            other => other,
        });
        let options = options.into_iter().map(|option| match option {
            TableOption::Collation(collation) => TableOption::Collation(self.collation_to_mysql(collation)),
            other => other,
        });
        Statement::CreateTable { name, if_not_exists, parts: parts.collect(), options: options.collect() }
    }

    fn column_to_mysql(&self, mut part: ColumnPart) -> ColumnPart {
        let column = &mut part.column;
        column.collation = column.collation.take().map(|collation| self.collation_to_mysql(collation));
        if !self.is_mariadb {
            return part;
        }
        let json_check = format!("(json_valid({}))", quoted(&column.name));
        if column.data_type.name == "longtext"
            && part.checks.iter().any(|check| check.expression == json_check)
        {
            column.data_type.name = "json".into();
            column.charset = None;
            column.collation = None;
            part.checks.clear();
        }
        if let Some(default) = &mut column.default
            && column.data_type.is_text_or_blob()
            && !default.starts_with('(')
        {
            *default = format!("({default})");
        }
        part
    }

    fn collation_to_mysql(&self, own: String) -> String {
        let found = self.collations.iter().find(|(_, known)| *known == own);
        found.map_or(own, |(of_mysql, _)| of_mysql.clone())
    }
}
