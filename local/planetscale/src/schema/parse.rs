//! Reads DDL statements.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::data_type::DataType;
use super::table::{Check, Column, ForeignKey, Generated, Indexed, Key, KeyKind, KeyPart};
use super::{SchemaError, literal};

/// Statements that were read, each with its own text.
#[derive(Debug, Clone)]
pub struct Script {
    statements: Vec<(Statement, String)>,
}

/// One DDL statement.
#[derive(Debug, Clone)]
pub enum Statement {
    CreateTable { name: String, if_not_exists: bool, parts: Vec<TablePart>, options: Vec<TableOption> },
    CreateTableLike { name: String, if_not_exists: bool, like: String },
    AlterTable { name: String, changes: Vec<Change> },
    DropTables { names: Vec<String>, if_exists: bool },
    RenameTables(Vec<(String, String)>),
}

/// What stands between the parentheses of CREATE TABLE.
#[derive(Debug, Clone)]
pub enum TablePart {
    Column(ColumnPart),
    Key(Key),
    ForeignKey(ForeignKey),
    Check(Check),
}

impl TablePart {
    /// The order in which parts are added: keys after their columns, and foreign keys after the keys they can use.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Column(_) => 0,
            Self::Key(_) | Self::Check(_) => 1,
            Self::ForeignKey(_) => 2,
        }
    }
}

/// A column with what else its definition brings.
#[derive(Debug, Clone)]
pub struct ColumnPart {
    pub column: Column,
    pub keys: Vec<Key>,
    pub checks: Vec<Check>,
}

/// Where a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where it is; a new one at the end.
    Unchanged,
    First,
    After(String),
}

/// One change of ALTER TABLE.
#[derive(Debug, Clone)]
pub enum Change {
    Add(TablePart, Place),
    DropColumn {
        name: String,
        if_exists: bool,
    },
    ReplaceColumn {
        old: String,
        new: ColumnPart,
        place: Place,
    },
    RenameColumn {
        old: String,
        new: String,
    },
    SetDefault {
        column: String,
        default: Option<String>,
    },
    DropKey(String),
    DropPrimaryKey,
    RenameKey {
        old: String,
        new: String,
    },
    SetKeyVisibility {
        name: String,
        invisible: bool,
    },
    DropForeignKey(String),
    DropCheck(String),
    DropConstraint(String),
    RenameTable(String),
    Options(Vec<TableOption>),
    /// The character set of the table and all its columns.
    Convert(Vec<TableOption>),
    RemovePartitioning,
}

/// One table option.
#[derive(Debug, Clone)]
pub enum TableOption {
    Engine(String),
    Charset(String),
    Collation(String),
    Comment(String),
    Partitioning(String),
    Other(String, String),
}

impl Script {
    /// Reads statements that are separated by semicolons.
    ///
    /// # Errors
    /// A syntax error that says what was expected and where.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let mut cursor = Cursor::new(text)?;
        let mut statements = Vec::new();
        loop {
            while cursor.takes_token(&Token::SemiColon) {}
            if cursor.is_at_end() {
                return Ok(Self { statements });
            }
            let start = cursor.offset();
            let statement = statement(&mut cursor)?;
            if !cursor.is_at_statement_end() {
                return Err(cursor.expected("the end of the statement"));
            }
            statements.push((statement, text[start..cursor.offset()].trim().to_owned()));
        }
    }

    /// Each statement and its text.
    pub fn statements(&self) -> &[(Statement, String)] {
        &self.statements
    }
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, SchemaError> {
    if cursor.takes("CREATE TABLE") {
        create_table(cursor)
    } else if cursor.takes("CREATE") {
        let Some(kind) = key_kind(cursor) else { return Err(cursor.expected("TABLE or INDEX")) };
        if kind == KeyKind::Plain || cursor.takes("INDEX") {
            create_index(cursor, kind)
        } else {
            Err(cursor.expected("INDEX"))
        }
    } else if cursor.takes("ALTER TABLE") {
        let name = cursor.table_name()?;
        Ok(Statement::AlterTable { name, changes: changes(cursor)? })
    } else if cursor.takes("DROP TABLE") {
        let if_exists = cursor.takes("IF EXISTS");
        let mut names = vec![cursor.table_name()?];
        while cursor.takes_token(&Token::Comma) {
            names.push(cursor.table_name()?);
        }
        cursor.takes_one_of(&["RESTRICT", "CASCADE"]);
        Ok(Statement::DropTables { names, if_exists })
    } else if cursor.takes("DROP INDEX") {
        let key = cursor.name()?;
        cursor.expect("ON")?;
        Ok(Statement::AlterTable { name: cursor.table_name()?, changes: vec![Change::DropKey(key)] })
    } else if cursor.takes("RENAME TABLE") {
        let mut renames = Vec::new();
        loop {
            let old = cursor.table_name()?;
            cursor.expect("TO")?;
            renames.push((old, cursor.table_name()?));
            if !cursor.takes_token(&Token::Comma) {
                return Ok(Statement::RenameTables(renames));
            }
        }
    } else {
        Err(cursor.expected(
            "CREATE TABLE, ALTER TABLE, DROP TABLE, RENAME TABLE, CREATE INDEX or DROP INDEX (only DDL is taken here)",
        ))
    }
}

fn create_table(cursor: &mut Cursor<'_>) -> Result<Statement, SchemaError> {
    let if_not_exists = cursor.takes("IF NOT EXISTS");
    let name = cursor.table_name()?;
    if cursor.takes("LIKE") {
        return Ok(Statement::CreateTableLike { name, if_not_exists, like: cursor.table_name()? });
    }
    let parts = cursor.list(table_part)?;
    Ok(Statement::CreateTable { name, if_not_exists, parts, options: table_options(cursor)? })
}

fn create_index(cursor: &mut Cursor<'_>, kind: KeyKind) -> Result<Statement, SchemaError> {
    let key_name = cursor.name()?;
    index_type(cursor)?;
    cursor.expect("ON")?;
    let name = cursor.table_name()?;
    let key = key(cursor, kind, key_name)?;
    algorithm_and_lock(cursor)?;
    Ok(Statement::AlterTable { name, changes: vec![Change::Add(TablePart::Key(key), Place::Unchanged)] })
}

/// The kind of a key, whose words are passed; for a plain one these are `KEY` or `INDEX`.
fn key_kind(cursor: &mut Cursor<'_>) -> Option<KeyKind> {
    Some(match cursor.takes_one_of(&["UNIQUE", "FULLTEXT", "SPATIAL", "KEY", "INDEX"])? {
        "UNIQUE" => KeyKind::Unique,
        "FULLTEXT" => KeyKind::Fulltext,
        "SPATIAL" => KeyKind::Spatial,
        _ => KeyKind::Plain,
    })
}

fn table_part(cursor: &mut Cursor<'_>) -> Result<TablePart, SchemaError> {
    match constraint_or_key(cursor)? {
        Some(part) => Ok(part),
        None => Ok(TablePart::Column(column_part(cursor)?)),
    }
}

fn constraint_or_key(cursor: &mut Cursor<'_>) -> Result<Option<TablePart>, SchemaError> {
    let is_constraint = cursor.takes("CONSTRAINT");
    let starts = ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK"];
    let name = if is_constraint && !starts.iter().any(|words| cursor.sees(words)) {
        cursor.name()?
    } else {
        String::new()
    };
    if cursor.takes("PRIMARY KEY") {
        index_type(cursor)?;
        return Ok(Some(TablePart::Key(key(cursor, KeyKind::Primary, "PRIMARY".into())?)));
    }
    if cursor.takes("FOREIGN KEY") {
        return Ok(Some(TablePart::ForeignKey(foreign_key(cursor, name)?)));
    }
    if cursor.takes("CHECK") {
        return Ok(Some(TablePart::Check(check(cursor, name)?)));
    }
    if let Some(kind) = key_kind(cursor) {
        if kind != KeyKind::Plain {
            cursor.takes_one_of(&["KEY", "INDEX"]);
        }
        let is_unnamed = cursor.sees_token(&Token::LParen) || cursor.sees("USING");
        let key_name = if is_unnamed { name } else { cursor.name()? };
        index_type(cursor)?;
        return Ok(Some(TablePart::Key(key(cursor, kind, key_name)?)));
    }
    if is_constraint { Err(cursor.expected("PRIMARY KEY, UNIQUE, FOREIGN KEY or CHECK")) } else { Ok(None) }
}

fn index_type(cursor: &mut Cursor<'_>) -> Result<(), SchemaError> {
    if cursor.takes("USING") {
        cursor.takes_one_of(&["BTREE", "HASH"]).ok_or_else(|| cursor.expected("BTREE or HASH"))?;
    }
    Ok(())
}

fn key(cursor: &mut Cursor<'_>, kind: KeyKind, name: String) -> Result<Key, SchemaError> {
    let parts = cursor.list(key_part)?;
    let mut key = Key { kind, name, parts, invisible: false, comment: String::new() };
    loop {
        match cursor.takes_one_of(&[
            "COMMENT",
            "INVISIBLE",
            "VISIBLE",
            "USING",
            "KEY_BLOCK_SIZE",
            "WITH PARSER",
        ]) {
            Some("COMMENT") => key.comment = cursor.string()?,
            Some("INVISIBLE") => key.invisible = true,
            Some("VISIBLE") => key.invisible = false,
            Some(_) => {
                cursor.takes_token(&Token::Eq);
                cursor.value()?;
            }
            None => return Ok(key),
        }
    }
}

fn key_part(cursor: &mut Cursor<'_>) -> Result<KeyPart, SchemaError> {
    let what = if cursor.sees_token(&Token::LParen) {
        Indexed::Expression(cursor.expression()?)
    } else {
        Indexed::Column(cursor.name()?)
    };
    let prefix = if cursor.takes_token(&Token::LParen) {
        let prefix = cursor.number()?;
        cursor.expect_token(&Token::RParen)?;
        Some(prefix)
    } else {
        None
    };
    let descending = cursor.takes_one_of(&["ASC", "DESC"]) == Some("DESC");
    Ok(KeyPart { what, prefix, descending })
}

fn foreign_key(cursor: &mut Cursor<'_>, mut name: String) -> Result<ForeignKey, SchemaError> {
    if !cursor.sees_token(&Token::LParen) {
        let key_name = cursor.name()?;
        if name.is_empty() {
            name = key_name;
        }
    }
    let columns = cursor.names()?;
    cursor.expect("REFERENCES")?;
    let table = cursor.table_name()?;
    let references = cursor.names()?;
    let (on_delete, on_update) = reference_actions(cursor)?;
    Ok(ForeignKey { name, columns, table, references, on_delete, on_update })
}

fn reference_actions(cursor: &mut Cursor<'_>) -> Result<(Option<String>, Option<String>), SchemaError> {
    let (mut on_delete, mut on_update) = (None, None);
    while let Some(event) = cursor.takes_one_of(&["ON DELETE", "ON UPDATE"]) {
        let action = cursor
            .takes_one_of(&["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
            .ok_or_else(|| cursor.expected("CASCADE, SET NULL, SET DEFAULT, RESTRICT or NO ACTION"))?;
        // MySQL does not print what is the default anyway.
        let action = (!matches!(action, "RESTRICT" | "NO ACTION")).then(|| action.to_owned());
        if event == "ON DELETE" {
            on_delete = action;
        } else {
            on_update = action;
        }
    }
    Ok((on_delete, on_update))
}

fn check(cursor: &mut Cursor<'_>, name: String) -> Result<Check, SchemaError> {
    let expression = cursor.expression()?;
    let enforced = cursor.takes_one_of(&["ENFORCED", "NOT ENFORCED"]) != Some("NOT ENFORCED");
    Ok(Check { name, expression, enforced })
}

fn column_part(cursor: &mut Cursor<'_>) -> Result<ColumnPart, SchemaError> {
    let name = cursor.name()?;
    let is_serial = cursor.takes("SERIAL");
    let data_type = if is_serial { DataType::serial() } else { DataType::parse(cursor)? };
    let mut part = ColumnPart {
        column: Column {
            name,
            data_type,
            charset: None,
            collation: None,
            nullable: !is_serial,
            default: None,
            on_update: None,
            auto_increment: is_serial,
            generated: None,
            invisible: false,
            comment: String::new(),
        },
        keys: Vec::new(),
        checks: Vec::new(),
    };
    if is_serial {
        part.add_key(KeyKind::Unique);
    }
    while part.attribute(cursor)? {}
    Ok(part)
}

impl ColumnPart {
    /// Reads one attribute; false when there is none.
    fn attribute(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, SchemaError> {
        let column = &mut self.column;
        let Some(attribute) = cursor.takes_one_of(&[
            "NOT NULL",
            "NULL",
            "DEFAULT",
            "ON UPDATE",
            "AUTO_INCREMENT",
            "PRIMARY KEY",
            "KEY",
            "UNIQUE KEY",
            "UNIQUE",
            "COMMENT",
            "COLLATE",
            "CHARACTER SET",
            "CHARSET",
            "GENERATED ALWAYS AS",
            "AS",
            "CONSTRAINT",
            "CHECK",
            "REFERENCES",
            "INVISIBLE",
            "VISIBLE",
            "SRID",
        ]) else {
            return Ok(false);
        };
        match attribute {
            "NOT NULL" => column.nullable = false,
            "NULL" => column.nullable = true,
            "DEFAULT" => column.default = default_value(cursor)?,
            "ON UPDATE" => column.on_update = Some(timestamp_function(cursor)?),
            "AUTO_INCREMENT" => {
                column.auto_increment = true;
                column.nullable = false;
            }
            "PRIMARY KEY" | "KEY" => self.add_key(KeyKind::Primary),
            "UNIQUE KEY" | "UNIQUE" => self.add_key(KeyKind::Unique),
            "COMMENT" => column.comment = cursor.string()?,
            "COLLATE" => column.collation = Some(cursor.value()?.to_ascii_lowercase()),
            "CHARACTER SET" | "CHARSET" => column.charset = Some(charset(cursor)?),
            "GENERATED ALWAYS AS" | "AS" => {
                let expression = cursor.expression()?;
                let stored = matches!(
                    cursor.takes_one_of(&["STORED", "PERSISTENT", "VIRTUAL"]),
                    Some("STORED" | "PERSISTENT")
                );
                column.generated = Some(Generated { expression, stored });
            }
            "CONSTRAINT" => {
                let name = if cursor.sees("CHECK") { String::new() } else { cursor.name()? };
                cursor.expect("CHECK")?;
                self.checks.push(check(cursor, name)?);
            }
            "CHECK" => self.checks.push(check(cursor, String::new())?),
            "REFERENCES" => {
                // MySQL reads a reference at a column and does not keep it.
                cursor.table_name()?;
                cursor.names()?;
                reference_actions(cursor)?;
            }
            "INVISIBLE" => column.invisible = true,
            "SRID" => {
                cursor.number()?;
            }
            _ => {}
        }
        Ok(true)
    }

    fn add_key(&mut self, kind: KeyKind) {
        let part =
            KeyPart { what: Indexed::Column(self.column.name.clone()), prefix: None, descending: false };
        let name = if kind == KeyKind::Primary { "PRIMARY".into() } else { String::new() };
        self.keys.push(Key { kind, name, parts: vec![part], invisible: false, comment: String::new() });
    }
}

fn charset(cursor: &mut Cursor<'_>) -> Result<String, SchemaError> {
    let charset = cursor.value()?.to_ascii_lowercase();
    Ok(if charset == "utf8" { "utf8mb3".into() } else { charset })
}

const TIMESTAMP_FUNCTIONS: [&str; 4] = ["CURRENT_TIMESTAMP", "NOW", "LOCALTIMESTAMP", "LOCALTIME"];

fn default_value(cursor: &mut Cursor<'_>) -> Result<Option<String>, SchemaError> {
    if cursor.takes("NULL") {
        return Ok(None);
    }
    if cursor.sees_token(&Token::LParen) {
        return cursor.expression().map(Some);
    }
    if let Some(boolean) = cursor.takes_one_of(&["TRUE", "FALSE"]) {
        return Ok(Some(if boolean == "TRUE" { "'1'".into() } else { "'0'".into() }));
    }
    if let Some(bits) = cursor.bits() {
        return Ok(Some(bits));
    }
    let sign = if cursor.takes_token(&Token::Minus) { "-" } else { "" };
    cursor.takes_token(&Token::Plus);
    if let Ok(number) = cursor.number() {
        return Ok(Some(format!("'{sign}{number}'")));
    }
    if let Ok(text) = cursor.string() {
        return Ok(Some(literal(&text)));
    }
    if cursor.sees_call() && !TIMESTAMP_FUNCTIONS.iter().any(|function| cursor.sees(function)) {
        // MariaDB prints calls without the parentheses that MySQL asks for.
        return cursor.call().map(Some);
    }
    timestamp_function(cursor).map(Some)
}

fn timestamp_function(cursor: &mut Cursor<'_>) -> Result<String, SchemaError> {
    if cursor.takes_one_of(&TIMESTAMP_FUNCTIONS).is_none() {
        return Err(cursor.expected("a literal, CURRENT_TIMESTAMP or an expression in parentheses"));
    }
    if !cursor.takes_token(&Token::LParen) {
        return Ok("CURRENT_TIMESTAMP".into());
    }
    let digits = cursor.number().ok().filter(|digits| digits != "0");
    cursor.expect_token(&Token::RParen)?;
    Ok(digits.map_or_else(|| "CURRENT_TIMESTAMP".into(), |digits| format!("CURRENT_TIMESTAMP({digits})")))
}

fn table_options(cursor: &mut Cursor<'_>) -> Result<Vec<TableOption>, SchemaError> {
    let mut options = options_until_comma(cursor)?;
    while cursor.takes_token(&Token::Comma) {
        options.extend(options_until_comma(cursor)?);
    }
    Ok(options)
}

fn options_until_comma(cursor: &mut Cursor<'_>) -> Result<Vec<TableOption>, SchemaError> {
    let mut options = Vec::new();
    while !cursor.is_at_statement_end() && !cursor.sees_token(&Token::Comma) {
        if cursor.sees("PARTITION BY") {
            options.push(TableOption::Partitioning(cursor.rest()));
        } else {
            options.extend(table_option(cursor)?);
        }
    }
    Ok(options)
}

/// One option, or nothing for one that is no part of the schema.
fn table_option(cursor: &mut Cursor<'_>) -> Result<Option<TableOption>, SchemaError> {
    cursor.takes("DEFAULT");
    let name = match cursor.takes_one_of(&["CHARACTER SET", "CHARSET"]) {
        Some(_) => "CHARSET".to_owned(),
        None => cursor.name()?.to_ascii_uppercase(),
    };
    cursor.takes_token(&Token::Eq);
    Ok(Some(match name.as_str() {
        "ENGINE" => TableOption::Engine(cursor.value()?),
        "CHARSET" => TableOption::Charset(charset(cursor)?),
        "COLLATE" => TableOption::Collation(cursor.value()?.to_ascii_lowercase()),
        "COMMENT" => TableOption::Comment(cursor.string()?),
        "AUTO_INCREMENT" => {
            cursor.value()?;
            return Ok(None);
        }
        _ => TableOption::Other(name, cursor.value()?.to_ascii_uppercase()),
    }))
}

fn changes(cursor: &mut Cursor<'_>) -> Result<Vec<Change>, SchemaError> {
    let mut changes = Vec::new();
    while !algorithm_and_lock(cursor)? {
        change(cursor, &mut changes)?;
        // Partitioning follows the other changes without a comma.
        if !cursor.takes_token(&Token::Comma)
            && !cursor.sees("PARTITION BY")
            && !cursor.sees("REMOVE PARTITIONING")
        {
            break;
        }
    }
    Ok(changes)
}

/// Passes `ALGORITHM` and `LOCK`, which say how and not what; true when the statement ends there.
fn algorithm_and_lock(cursor: &mut Cursor<'_>) -> Result<bool, SchemaError> {
    while cursor.takes_one_of(&["ALGORITHM", "LOCK"]).is_some() {
        cursor.takes_token(&Token::Eq);
        cursor.name()?;
        if !cursor.takes_token(&Token::Comma) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn change(cursor: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SchemaError> {
    let change =
        match cursor.takes_one_of(&["ADD", "DROP", "MODIFY", "CHANGE", "RENAME", "ALTER", "CONVERT TO"]) {
            Some("ADD") => return add(cursor, changes),
            Some("DROP") => drop_change(cursor)?,
            Some("MODIFY") => {
                cursor.takes("COLUMN");
                let new = column_part(cursor)?;
                Change::ReplaceColumn { old: new.column.name.clone(), new, place: place(cursor)? }
            }
            Some("CHANGE") => {
                cursor.takes("COLUMN");
                let old = cursor.name()?;
                Change::ReplaceColumn { old, new: column_part(cursor)?, place: place(cursor)? }
            }
            Some("RENAME") => rename_change(cursor)?,
            Some("ALTER") => alter_change(cursor)?,
            Some(_) => {
                cursor
                    .takes_one_of(&["CHARACTER SET", "CHARSET"])
                    .ok_or_else(|| cursor.expected("CHARACTER SET"))?;
                let mut options = vec![TableOption::Charset(charset(cursor)?)];
                if cursor.takes("COLLATE") {
                    options.push(TableOption::Collation(cursor.value()?.to_ascii_lowercase()));
                }
                Change::Convert(options)
            }
            None if cursor.takes("REMOVE PARTITIONING") => Change::RemovePartitioning,
            None => Change::Options(options_until_comma(cursor)?),
        };
    changes.push(change);
    Ok(())
}

fn add(cursor: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SchemaError> {
    let is_column = cursor.takes("COLUMN");
    if cursor.sees_token(&Token::LParen) {
        let parts = cursor.list(table_part)?;
        changes.extend(parts.into_iter().map(|part| Change::Add(part, Place::Unchanged)));
        return Ok(());
    }
    let constraint = if is_column { None } else { constraint_or_key(cursor)? };
    changes.push(match constraint {
        Some(part) => Change::Add(part, Place::Unchanged),
        None => Change::Add(TablePart::Column(column_part(cursor)?), place(cursor)?),
    });
    Ok(())
}

fn drop_change(cursor: &mut Cursor<'_>) -> Result<Change, SchemaError> {
    Ok(match cursor.takes_one_of(&["PRIMARY KEY", "KEY", "INDEX", "FOREIGN KEY", "CHECK", "CONSTRAINT"]) {
        Some("PRIMARY KEY") => Change::DropPrimaryKey,
        Some("KEY" | "INDEX") => Change::DropKey(cursor.name()?),
        Some("FOREIGN KEY") => Change::DropForeignKey(cursor.name()?),
        Some("CHECK") => Change::DropCheck(cursor.name()?),
        Some(_) => Change::DropConstraint(cursor.name()?),
        None => {
            cursor.takes("COLUMN");
            let if_exists = cursor.takes("IF EXISTS");
            Change::DropColumn { name: cursor.name()?, if_exists }
        }
    })
}

fn rename_change(cursor: &mut Cursor<'_>) -> Result<Change, SchemaError> {
    let what = cursor.takes_one_of(&["COLUMN", "INDEX", "KEY", "TO", "AS"]);
    let old = cursor.name()?;
    match what {
        Some("COLUMN" | "INDEX" | "KEY") => {
            cursor.expect("TO")?;
            let new = cursor.name()?;
            Ok(if what == Some("COLUMN") {
                Change::RenameColumn { old, new }
            } else {
                Change::RenameKey { old, new }
            })
        }
        _ => Ok(Change::RenameTable(old)),
    }
}

fn alter_change(cursor: &mut Cursor<'_>) -> Result<Change, SchemaError> {
    if cursor.takes_one_of(&["INDEX", "KEY"]).is_some() {
        let name = cursor.name()?;
        let visibility = cursor.takes_one_of(&["INVISIBLE", "VISIBLE"]);
        let visibility = visibility.ok_or_else(|| cursor.expected("VISIBLE or INVISIBLE"))?;
        return Ok(Change::SetKeyVisibility { name, invisible: visibility == "INVISIBLE" });
    }
    cursor.takes("COLUMN");
    let column = cursor.name()?;
    let default = if cursor.takes("DROP DEFAULT") {
        None
    } else {
        cursor.expect("SET DEFAULT")?;
        default_value(cursor)?
    };
    Ok(Change::SetDefault { column, default })
}

fn place(cursor: &mut Cursor<'_>) -> Result<Place, SchemaError> {
    if cursor.takes("FIRST") {
        Ok(Place::First)
    } else if cursor.takes("AFTER") {
        Ok(Place::After(cursor.name()?))
    } else {
        Ok(Place::Unchanged)
    }
}
