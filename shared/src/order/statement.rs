//! Reads DDL statements.

use sqlparser::tokenizer::Token;

use super::charset;
use super::data_type::DataType;
use super::table::{
    Check, Column, Default, Definition, ForeignKey, Key, KeyKind, KeyPart, Partitions, Table,
};
use super::tokens::{Read, Tokens};

#[derive(Debug)]
pub enum Statement {
    CreateTable(Box<Table>),
    /// LIKE or AS SELECT: what it has is not known.
    CopyTable(String),
    AlterTable {
        name: String,
        clauses: Vec<Clause>,
    },
    DropTables(Vec<String>),
    RenameTables(Vec<(String, String)>),
    CreateView(String),
    ChangeView(String),
    DropViews(Vec<String>),
}

#[derive(Debug)]
pub struct Clause {
    /// As it is written.
    pub text: String,
    pub change: Change,
}

#[derive(Debug)]
pub enum Change {
    Add(Vec<Part>),
    DropColumn(String),
    ReplaceColumn {
        old: String,
        new: Box<Part>,
    },
    RenameColumn {
        old: String,
        new: String,
    },
    SetDefault {
        column: String,
        default: Default,
    },
    ShowColumn {
        column: String,
        invisible: bool,
    },
    DropKey(String),
    RenameKey {
        old: String,
        new: String,
    },
    ShowKey {
        name: String,
        invisible: bool,
    },
    DropForeignKey(String),
    DropCheck(String),
    EnforceCheck {
        name: String,
        enforced: bool,
    },
    DropConstraint(String),
    RenameTable(String),
    Engine(String),
    DefaultCharacters {
        charset: Option<String>,
        collation: Option<String>,
    },
    Convert {
        charset: Option<String>,
        collation: Option<String>,
    },
    PartitionBy(Partitions),
    RemovePartitioning,
    AddPartitions(Vec<String>),
    DropPartitions(Vec<String>),
    CoalescePartitions,
    ReorganizePartitions {
        from: Vec<String>,
        into: Vec<String>,
    },
    /// Rows are moved or taken away, by this word.
    MoveRows(&'static str),
    /// Something that no statement can notice.
    Unnoticed,
}

/// What CREATE TABLE has between its parentheses, and ADD behind it.
#[derive(Debug)]
pub enum Part {
    Column { column: Column, keys: Vec<Key>, checks: Vec<Check>, foreign_keys: Vec<ForeignKey> },
    Key(Key),
    ForeignKey(ForeignKey),
    Check(Check),
}

/// Reads the statements of a text, each with its own text.
pub fn read(sql: &str) -> Read<Vec<(Statement, String)>> {
    let mut tokens = Tokens::new(sql)?;
    let mut statements = Vec::new();
    loop {
        while tokens.takes_token(&Token::SemiColon) {}
        if tokens.is_at_end() {
            return Ok(statements);
        }
        let start = tokens.position();
        let statement = statement(&mut tokens)?;
        if !tokens.ends_statement() {
            return Err(tokens.unexpected());
        }
        statements.push((statement, tokens.text_since(start)));
    }
}

fn statement(tokens: &mut Tokens) -> Read<Statement> {
    if tokens.takes("CREATE TABLE") {
        return create_table(tokens);
    }
    if tokens.takes("ALTER TABLE") {
        let name = tokens.table_name()?;
        return Ok(Statement::AlterTable { name, clauses: clauses(tokens)? });
    }
    if tokens.takes("DROP TABLE") {
        tokens.takes("IF EXISTS");
        let names = tokens.names()?;
        tokens.takes_one_of(&["RESTRICT", "CASCADE"]);
        return Ok(Statement::DropTables(names));
    }
    if tokens.takes("DROP VIEW") {
        tokens.takes("IF EXISTS");
        let names = tokens.names()?;
        tokens.takes_one_of(&["RESTRICT", "CASCADE"]);
        return Ok(Statement::DropViews(names));
    }
    if tokens.takes("RENAME TABLE") {
        let mut names = Vec::new();
        loop {
            let old = tokens.table_name()?;
            tokens.expect("TO")?;
            names.push((old, tokens.table_name()?));
            if !tokens.takes_token(&Token::Comma) {
                return Ok(Statement::RenameTables(names));
            }
        }
    }
    if tokens.takes("DROP INDEX") {
        let key = tokens.name()?;
        return on_table(tokens, |_| Ok(Change::DropKey(key)));
    }
    let is_create = tokens.takes("CREATE");
    if !is_create && !tokens.takes("ALTER") {
        return Err(tokens.unexpected());
    }
    let kinds = [("UNIQUE", KeyKind::Unique), ("FULLTEXT", KeyKind::Fulltext), ("SPATIAL", KeyKind::Plain)];
    let kind = kinds.into_iter().find(|(word, _)| is_create && tokens.takes(word)).map(|(_, kind)| kind);
    if is_create && (kind.is_some() || tokens.sees("INDEX")) {
        tokens.expect("INDEX")?;
        let name = tokens.name()?;
        using(tokens)?;
        return on_table(tokens, |tokens| {
            Ok(Change::Add(vec![Part::Key(key(tokens, kind.unwrap_or(KeyKind::Plain), name)?)]))
        });
    }
    let replaces = is_create && tokens.takes("OR REPLACE");
    if !["ALGORITHM", "DEFINER", "SQL SECURITY", "VIEW"].iter().any(|words| tokens.sees(words)) {
        return Err(tokens.unexpected());
    }
    while !tokens.takes("VIEW") {
        if tokens.ends_statement() {
            return Err(tokens.unexpected());
        }
        tokens.any()?;
    }
    tokens.takes("IF NOT EXISTS");
    let name = tokens.table_name()?;
    tokens.rest();
    Ok(if is_create && !replaces { Statement::CreateView(name) } else { Statement::ChangeView(name) })
}

/// `CREATE INDEX` and `DROP INDEX`, behind the name of the index.
fn on_table(tokens: &mut Tokens, change: impl FnOnce(&mut Tokens) -> Read<Change>) -> Read<Statement> {
    tokens.expect("ON")?;
    let name = tokens.table_name()?;
    let change = change(tokens)?;
    while let Some(_word) = tokens.takes_one_of(&["ALGORITHM", "LOCK"]) {
        tokens.takes_token(&Token::Eq);
        tokens.any()?;
    }
    Ok(Statement::AlterTable { name, clauses: vec![Clause { text: String::new(), change }] })
}

fn create_table(tokens: &mut Tokens) -> Read<Statement> {
    tokens.takes("IF NOT EXISTS");
    let name = tokens.table_name()?;
    let parenthesized_like = tokens.sees_token(&Token::LParen) && {
        let mut ahead = tokens.clone();
        ahead.takes_token(&Token::LParen) && ahead.takes("LIKE")
    };
    if tokens.sees("LIKE") || tokens.sees("AS") || tokens.sees("SELECT") || parenthesized_like {
        tokens.rest();
        return Ok(Statement::CopyTable(name));
    }
    let mut table = Table { name, known: true, ..Table::default() };
    tokens.expect_token(&Token::LParen)?;
    loop {
        let part = part(tokens)?;
        add(&mut table, part);
        if !tokens.takes_token(&Token::Comma) {
            break;
        }
    }
    tokens.expect_token(&Token::RParen)?;
    while !tokens.ends_statement() {
        match option(tokens)? {
            Some(Change::Engine(engine)) => table.engine = Some(engine),
            Some(Change::DefaultCharacters { charset, collation }) => {
                set_characters(&mut table, charset, collation);
            }
            Some(Change::PartitionBy(partitions)) => table.partitions = Some(partitions),
            Some(_) => {}
            None if tokens.takes_one_of(&["AS", "IGNORE", "REPLACE", "SELECT"]).is_some() => {
                tokens.rest();
                return Ok(Statement::CopyTable(table.name));
            }
            None => return Err(tokens.unexpected()),
        }
        tokens.takes_token(&Token::Comma);
    }
    table.settle_primary_key();
    Ok(Statement::CreateTable(Box::new(table)))
}

pub fn set_characters(table: &mut Table, charset: Option<String>, collation: Option<String>) {
    if charset.is_some() && charset != table.charset {
        table.collation = None;
    }
    if charset.is_some() {
        table.charset = charset;
    }
    if let Some(collation) = collation {
        table.charset = Some(charset::of_collation(&collation));
        table.collation = Some(collation);
    }
}

/// Adds a part to a table, with a name if it has none.
pub fn add(table: &mut Table, part: Part) -> Vec<(Named, String)> {
    let mut added = Vec::new();
    match part {
        Part::Column { column, keys, checks, foreign_keys } => {
            added.push((Named::Column, column.name.clone()));
            table.columns.push(column);
            for part in keys
                .into_iter()
                .map(Part::Key)
                .chain(checks.into_iter().map(Part::Check))
                .chain(foreign_keys.into_iter().map(Part::ForeignKey))
            {
                added.extend(add(table, part));
            }
        }
        Part::Key(mut key) => {
            if key.name.is_empty() {
                let first = key.parts.first().map_or_else(|| "key".into(), |part| part.what.clone());
                key.name = (1..)
                    .map(|n| if n == 1 { first.clone() } else { format!("{first}_{n}") })
                    .find(|name| table.key(name).is_none())
                    .unwrap_or_default();
            }
            added.push((Named::Key, key.name.clone()));
            table.keys.push(key);
        }
        Part::ForeignKey(mut foreign) => {
            if foreign.name.is_empty() {
                foreign.name = format!("{}_ibfk_{}", table.name, table.foreign_keys.len() + 1);
            }
            added.push((Named::ForeignKey, foreign.name.clone()));
            table.foreign_keys.push(foreign);
        }
        Part::Check(mut check) => {
            if check.name.is_empty() {
                check.name = format!("{}_chk_{}", table.name, table.checks.len() + 1);
            }
            added.push((Named::Check, check.name.clone()));
            table.checks.push(check);
        }
    }
    added
}

/// What has a name in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    Column,
    Key,
    ForeignKey,
    Check,
    /// The table itself: its name, its engine, its partitions.
    Table,
}

fn part(tokens: &mut Tokens) -> Read<Part> {
    match constraint_or_key(tokens)? {
        Some(part) => Ok(part),
        None => {
            let name = tokens.name()?;
            column(tokens, name)
        }
    }
}

fn constraint_or_key(tokens: &mut Tokens) -> Read<Option<Part>> {
    let constraint = tokens.takes("CONSTRAINT");
    let starts = ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK"];
    let name = if constraint && !starts.iter().any(|words| tokens.sees(words)) {
        tokens.name()?
    } else {
        String::new()
    };
    if tokens.takes("PRIMARY KEY") {
        using(tokens)?;
        return Ok(Some(Part::Key(key(tokens, KeyKind::Primary, "PRIMARY".into())?)));
    }
    if tokens.takes("FOREIGN KEY") {
        tokens.takes("IF NOT EXISTS");
        let of_key = if tokens.sees_token(&Token::LParen) { String::new() } else { tokens.name()? };
        let columns = columns(tokens)?;
        let name = if name.is_empty() { of_key } else { name };
        return Ok(Some(Part::ForeignKey(references(tokens, name, columns)?)));
    }
    if tokens.takes("CHECK") {
        return Ok(Some(Part::Check(check(tokens, name)?)));
    }
    let kind = match tokens.takes_one_of(&["UNIQUE", "FULLTEXT", "SPATIAL", "KEY", "INDEX"]) {
        Some("UNIQUE") => KeyKind::Unique,
        Some("FULLTEXT") => KeyKind::Fulltext,
        Some(_) => KeyKind::Plain,
        None if constraint => return Err(tokens.unexpected()),
        None => return Ok(None),
    };
    tokens.takes_one_of(&["KEY", "INDEX"]);
    tokens.takes("IF NOT EXISTS");
    let unnamed = tokens.sees_token(&Token::LParen) || tokens.sees("USING");
    let name = if unnamed { name } else { tokens.name()? };
    using(tokens)?;
    Ok(Some(Part::Key(key(tokens, kind, name)?)))
}

fn using(tokens: &mut Tokens) -> Read<()> {
    if tokens.takes("USING") {
        tokens.any()?;
    }
    Ok(())
}

fn columns(tokens: &mut Tokens) -> Read<Vec<String>> {
    tokens.expect_token(&Token::LParen)?;
    let mut names = vec![tokens.name()?.to_lowercase()];
    while tokens.takes_token(&Token::Comma) {
        names.push(tokens.name()?.to_lowercase());
    }
    tokens.expect_token(&Token::RParen)?;
    Ok(names)
}

fn key(tokens: &mut Tokens, kind: KeyKind, name: String) -> Read<Key> {
    let mut parts = Vec::new();
    tokens.expect_token(&Token::LParen)?;
    loop {
        let part = if tokens.sees_token(&Token::LParen) {
            KeyPart { what: tokens.parenthesized()?, is_expression: true, prefix: None }
        } else {
            KeyPart { what: tokens.name()?.to_lowercase(), is_expression: false, prefix: None }
        };
        let prefix = if tokens.takes_token(&Token::LParen) {
            let prefix = tokens.number()?;
            tokens.expect_token(&Token::RParen)?;
            Some(prefix)
        } else {
            None
        };
        tokens.takes_one_of(&["ASC", "DESC"]);
        parts.push(KeyPart { prefix, ..part });
        if !tokens.takes_token(&Token::Comma) {
            break;
        }
    }
    tokens.expect_token(&Token::RParen)?;
    let mut key = Key { kind, name, parts, invisible: false };
    loop {
        match tokens.takes_one_of(&[
            "COMMENT",
            "NOT IGNORED",
            "IGNORED",
            "INVISIBLE",
            "VISIBLE",
            "USING",
            "KEY_BLOCK_SIZE",
            "WITH PARSER",
            "ENGINE_ATTRIBUTE",
            "SECONDARY_ENGINE_ATTRIBUTE",
        ]) {
            Some("INVISIBLE" | "IGNORED") => key.invisible = true,
            Some("VISIBLE" | "NOT IGNORED") => key.invisible = false,
            Some(_) => {
                tokens.takes_token(&Token::Eq);
                tokens.any()?;
            }
            None => return Ok(key),
        }
    }
}

/// Behind the columns of a foreign key.
fn references(tokens: &mut Tokens, name: String, columns: Vec<String>) -> Read<ForeignKey> {
    tokens.expect("REFERENCES")?;
    let parent = tokens.table_name()?;
    let parent_columns = if tokens.sees_token(&Token::LParen) { self::columns(tokens)? } else { Vec::new() };
    let mut foreign =
        ForeignKey { name, columns, parent, parent_columns, on_delete: "RESTRICT", on_update: "RESTRICT" };
    loop {
        match tokens.takes_one_of(&["ON DELETE", "ON UPDATE", "MATCH"]) {
            Some("MATCH") => {
                tokens.any()?;
            }
            Some(event) => {
                let actions = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"];
                let action = tokens.takes_one_of(&actions).ok_or_else(|| tokens.unexpected())?;
                // To InnoDB these are one.
                let action = if action == "NO ACTION" { "RESTRICT" } else { action };
                if event == "ON DELETE" {
                    foreign.on_delete = action;
                } else {
                    foreign.on_update = action;
                }
            }
            None => return Ok(foreign),
        }
    }
}

fn check(tokens: &mut Tokens, name: String) -> Read<Check> {
    let expression = tokens.parenthesized()?;
    let enforced = tokens.takes_one_of(&["NOT ENFORCED", "ENFORCED"]) != Some("NOT ENFORCED");
    Ok(Check { name, expression, enforced })
}

/// A column behind its name.
fn column(tokens: &mut Tokens, name: String) -> Read<Part> {
    let start = tokens.position();
    let serial = tokens.sees("SERIAL");
    let data_type = DataType::read(tokens)?;
    let mut definition = Definition {
        data_type,
        written_type: tokens.text_since(start),
        nullable: !serial,
        default: Default::Unwritten,
        auto_increment: serial,
        generated: None,
        invisible: false,
        charset: None,
        collation: None,
    };
    let own = |kind, name: &str, key: &str| Key {
        kind,
        name: key.into(),
        parts: vec![KeyPart { what: name.to_lowercase(), is_expression: false, prefix: None }],
        invisible: false,
    };
    let (mut keys, mut checks, mut foreign_keys) = (Vec::new(), Vec::new(), Vec::new());
    if serial {
        keys.push(own(KeyKind::Unique, &name, ""));
    }
    loop {
        let words = [
            "NOT NULL",
            "NULL",
            "DEFAULT",
            "ON UPDATE",
            "AUTO_INCREMENT",
            "INVISIBLE",
            "VISIBLE",
            "UNIQUE KEY",
            "UNIQUE",
            "PRIMARY KEY",
            "KEY",
            "COMMENT",
            "COLLATE",
            "CHARACTER SET",
            "CHARSET",
            "ASCII",
            "UNICODE",
            "BINARY",
            "COLUMN_FORMAT",
            "STORAGE",
            "ENGINE_ATTRIBUTE",
            "SECONDARY_ENGINE_ATTRIBUTE",
            "SRID",
            "REF_SYSTEM_ID",
            "GENERATED ALWAYS AS",
            "AS",
            "VIRTUAL",
            "STORED",
            "PERSISTENT",
            "CONSTRAINT",
            "CHECK",
        ];
        if tokens.sees("REFERENCES") {
            foreign_keys.push(references(tokens, String::new(), vec![name.to_lowercase()])?);
            continue;
        }
        let Some(word) = tokens.takes_one_of(&words) else { break };
        match word {
            "NOT NULL" => definition.nullable = false,
            "NULL" => definition.nullable = true,
            "DEFAULT" => definition.default = default(tokens)?,
            "ON UPDATE" => {
                tokens.value()?;
            }
            "AUTO_INCREMENT" => {
                definition.auto_increment = true;
                definition.nullable = false;
            }
            "INVISIBLE" => definition.invisible = true,
            "VISIBLE" => definition.invisible = false,
            "UNIQUE KEY" | "UNIQUE" => keys.push(own(KeyKind::Unique, &name, "")),
            "PRIMARY KEY" | "KEY" => {
                definition.nullable = false;
                keys.push(own(KeyKind::Primary, &name, "PRIMARY"));
            }
            "COLLATE" => definition.collation = Some(charset::canonical(&tokens.any()?.replace('\'', ""))),
            "CHARACTER SET" | "CHARSET" => {
                definition.charset = Some(charset::canonical(&tokens.any()?.replace('\'', "")));
            }
            "ASCII" => definition.charset = Some("latin1".into()),
            "UNICODE" => definition.charset = Some("ucs2".into()),
            "GENERATED ALWAYS AS" | "AS" => definition.generated = Some(tokens.parenthesized()?),
            "CONSTRAINT" => {
                let named = if tokens.sees("CHECK") { String::new() } else { tokens.name()? };
                tokens.expect("CHECK")?;
                checks.push(check(tokens, named)?);
            }
            "CHECK" => checks.push(check(tokens, String::new())?),
            "SRID" | "REF_SYSTEM_ID" => {
                tokens.takes_token(&Token::Eq);
                let system = tokens.value()?;
                if let DataType::Other(written) = &mut definition.data_type {
                    *written += &format!(" srid {system}");
                }
            }
            "COMMENT" | "COLUMN_FORMAT" | "STORAGE" | "ENGINE_ATTRIBUTE" | "SECONDARY_ENGINE_ATTRIBUTE" => {
                tokens.takes_token(&Token::Eq);
                tokens.any()?;
            }
            // VIRTUAL and STORED read alike; so does BINARY, for which a collation says more.
            _ => {}
        }
    }
    // VARCHAR(10) CHARACTER SET binary is VARBINARY(10), and so on.
    if definition.charset.as_deref() == Some("binary") {
        definition.data_type = match definition.data_type {
            DataType::Char(length) => DataType::Binary(length),
            DataType::Varchar(length) => DataType::Varbinary(length),
            DataType::Text(bytes) => DataType::Blob(bytes),
            other => other,
        };
    }
    let column = Column { name, origin: None, definition: Some(definition) };
    Ok(Part::Column { column, keys, checks, foreign_keys })
}

fn default(tokens: &mut Tokens) -> Read<Default> {
    if tokens.takes("NULL") {
        return Ok(Default::Null);
    }
    let value = tokens.value()?;
    let value = value.trim_matches('\'').to_owned();
    Ok(Default::Value(match value.as_str() {
        "true" => "1".into(),
        "false" => "0".into(),
        "now"
        | "localtime"
        | "localtimestamp"
        | "now ( )"
        | "current_timestamp ( )"
        | "localtime ( )"
        | "localtimestamp ( )" => "current_timestamp".into(),
        _ => value,
    }))
}

fn place(tokens: &mut Tokens) -> Read<()> {
    if !tokens.takes("FIRST") && tokens.takes("AFTER") {
        tokens.name()?;
    }
    Ok(())
}

fn clauses(tokens: &mut Tokens) -> Read<Vec<Clause>> {
    let mut clauses = Vec::new();
    while !tokens.ends_statement() {
        let start = tokens.position();
        let change = change(tokens)?;
        clauses.push(Clause { text: tokens.text_since(start), change });
        if tokens.takes_token(&Token::Comma) && tokens.ends_statement() {
            return Err(tokens.unexpected());
        }
    }
    if clauses.is_empty() { Err(tokens.unexpected()) } else { Ok(clauses) }
}

fn change(tokens: &mut Tokens) -> Read<Change> {
    if tokens.takes("ADD") {
        return add_change(tokens);
    }
    if tokens.takes("DROP") {
        return drop_change(tokens);
    }
    if tokens.takes("MODIFY") {
        tokens.takes("COLUMN");
        tokens.takes("IF EXISTS");
        let old = tokens.name()?;
        let new = Box::new(column(tokens, old.clone())?);
        place(tokens)?;
        return Ok(Change::ReplaceColumn { old, new });
    }
    if tokens.takes("CHANGE") {
        tokens.takes("COLUMN");
        tokens.takes("IF EXISTS");
        let old = tokens.name()?;
        let name = tokens.name()?;
        let new = Box::new(column(tokens, name)?);
        place(tokens)?;
        return Ok(Change::ReplaceColumn { old, new });
    }
    if tokens.takes("ALTER") {
        return alter_change(tokens);
    }
    if tokens.takes("RENAME COLUMN") {
        let old = tokens.name()?;
        tokens.expect("TO")?;
        return Ok(Change::RenameColumn { old, new: tokens.name()? });
    }
    if tokens.takes_one_of(&["RENAME INDEX", "RENAME KEY"]).is_some() {
        let old = tokens.name()?;
        tokens.expect("TO")?;
        return Ok(Change::RenameKey { old, new: tokens.name()? });
    }
    if tokens.takes("RENAME") {
        tokens.takes_one_of(&["TO", "AS"]);
        tokens.takes_token(&Token::Eq);
        return Ok(Change::RenameTable(tokens.table_name()?));
    }
    if tokens.takes("CONVERT TO") {
        tokens.takes_one_of(&["CHARACTER SET", "CHARSET"]).ok_or_else(|| tokens.unexpected())?;
        let charset =
            Some(charset::canonical(&tokens.any()?.replace('\'', ""))).filter(|name| name != "default");
        let collation = if tokens.takes("COLLATE") {
            tokens.takes_token(&Token::Eq);
            Some(charset::canonical(&tokens.any()?.replace('\'', "")))
        } else {
            None
        };
        return Ok(Change::Convert { charset, collation });
    }
    if let Some(change) = partition_change(tokens)? {
        return Ok(change);
    }
    if tokens
        .takes_one_of(&["FORCE", "ENABLE KEYS", "DISABLE KEYS", "WITH VALIDATION", "WITHOUT VALIDATION"])
        .is_some()
    {
        return Ok(Change::Unnoticed);
    }
    if tokens.takes("ORDER BY") {
        loop {
            tokens.name()?;
            tokens.takes_one_of(&["ASC", "DESC"]);
            if !tokens.takes_token(&Token::Comma) {
                return Ok(Change::Unnoticed);
            }
        }
    }
    if tokens.takes_one_of(&["DISCARD TABLESPACE", "IMPORT TABLESPACE"]).is_some() {
        return Ok(Change::MoveRows("TABLESPACE"));
    }
    option(tokens)?.ok_or_else(|| tokens.unexpected())
}

fn add_change(tokens: &mut Tokens) -> Read<Change> {
    if tokens.takes("PARTITION") {
        let rest = tokens.rest();
        return Ok(Change::AddPartitions(partition_names(&rest)));
    }
    let explicit = tokens.takes("COLUMN");
    tokens.takes("IF NOT EXISTS");
    if tokens.takes_token(&Token::LParen) {
        let mut parts = Vec::new();
        loop {
            parts.push(part(tokens)?);
            if !tokens.takes_token(&Token::Comma) {
                break;
            }
        }
        tokens.expect_token(&Token::RParen)?;
        return Ok(Change::Add(parts));
    }
    if !explicit && let Some(part) = constraint_or_key(tokens)? {
        return Ok(Change::Add(vec![part]));
    }
    let name = tokens.name()?;
    let part = column(tokens, name)?;
    place(tokens)?;
    Ok(Change::Add(vec![part]))
}

fn drop_change(tokens: &mut Tokens) -> Read<Change> {
    if tokens.takes("PRIMARY KEY") {
        return Ok(Change::DropKey("PRIMARY".into()));
    }
    let what =
        tokens.takes_one_of(&["FOREIGN KEY", "INDEX", "KEY", "CHECK", "CONSTRAINT", "PARTITION", "COLUMN"]);
    tokens.takes("IF EXISTS");
    if what == Some("PARTITION") {
        return Ok(Change::DropPartitions(tokens.names()?));
    }
    let name = tokens.name()?;
    Ok(match what {
        Some("FOREIGN KEY") => Change::DropForeignKey(name),
        Some("INDEX" | "KEY") => Change::DropKey(name),
        Some("CHECK") => Change::DropCheck(name),
        Some("CONSTRAINT") => Change::DropConstraint(name),
        _ => {
            tokens.takes_one_of(&["RESTRICT", "CASCADE"]);
            Change::DropColumn(name)
        }
    })
}

fn alter_change(tokens: &mut Tokens) -> Read<Change> {
    if tokens.takes_one_of(&["INDEX", "KEY"]).is_some() {
        let name = tokens.name()?;
        let words = ["INVISIBLE", "IGNORED", "VISIBLE", "NOT IGNORED"];
        let word = tokens.takes_one_of(&words).ok_or_else(|| tokens.unexpected())?;
        return Ok(Change::ShowKey { name, invisible: matches!(word, "INVISIBLE" | "IGNORED") });
    }
    if tokens.takes_one_of(&["CHECK", "CONSTRAINT"]).is_some() {
        let name = tokens.name()?;
        let word = tokens.takes_one_of(&["NOT ENFORCED", "ENFORCED"]).ok_or_else(|| tokens.unexpected())?;
        return Ok(Change::EnforceCheck { name, enforced: word == "ENFORCED" });
    }
    tokens.takes("COLUMN");
    let column = tokens.name()?;
    if tokens.takes("SET DEFAULT") {
        return Ok(Change::SetDefault { column, default: default(tokens)? });
    }
    if tokens.takes("DROP DEFAULT") {
        return Ok(Change::SetDefault { column, default: Default::Dropped });
    }
    let word = tokens.takes_one_of(&["SET INVISIBLE", "SET VISIBLE"]).ok_or_else(|| tokens.unexpected())?;
    Ok(Change::ShowColumn { column, invisible: word == "SET INVISIBLE" })
}

fn partition_change(tokens: &mut Tokens) -> Read<Option<Change>> {
    if tokens.takes("REMOVE PARTITIONING") {
        return Ok(Some(Change::RemovePartitioning));
    }
    if tokens.takes("COALESCE PARTITION") {
        tokens.rest();
        return Ok(Some(Change::CoalescePartitions));
    }
    if tokens.takes("REORGANIZE PARTITION") {
        if tokens.ends_statement() {
            return Ok(Some(Change::Unnoticed));
        }
        let from = tokens.names()?;
        tokens.expect("INTO")?;
        let into = partition_names(&tokens.rest());
        return Ok(Some(Change::ReorganizePartitions { from, into }));
    }
    let moving = [
        ("TRUNCATE PARTITION", "TRUNCATE"),
        ("EXCHANGE PARTITION", "EXCHANGE"),
        ("DISCARD PARTITION", "DISCARD"),
        ("IMPORT PARTITION", "IMPORT"),
    ];
    for (words, word) in moving {
        if tokens.takes(words) {
            tokens.rest();
            return Ok(Some(Change::MoveRows(word)));
        }
    }
    let upkeep = [
        "ANALYZE PARTITION",
        "CHECK PARTITION",
        "OPTIMIZE PARTITION",
        "REBUILD PARTITION",
        "REPAIR PARTITION",
    ];
    if tokens.takes_one_of(&upkeep).is_some() {
        tokens.rest();
        return Ok(Some(Change::Unnoticed));
    }
    Ok(None)
}

/// The names of the partitions that are defined in these words.
fn partition_names(words: &[String]) -> Vec<String> {
    let named = words.windows(2).filter(|pair| pair[0] == "partition" && pair[1] != "by");
    named.map(|pair| pair[1].trim_matches('`').to_owned()).collect()
}

/// A table option; none if there is none here.
fn option(tokens: &mut Tokens) -> Read<Option<Change>> {
    if tokens.takes("PARTITION BY") {
        let words = tokens.rest();
        let method = words.iter().find(|word| *word != "linear").map(String::as_str).unwrap_or_default();
        let takes_everything =
            matches!(method, "hash" | "key") || words.iter().any(|word| word == "maxvalue");
        let names = partition_names(&words);
        return Ok(Some(Change::PartitionBy(Partitions {
            written: words.join(" "),
            takes_everything,
            names,
        })));
    }
    if tokens.takes("START TRANSACTION") {
        return Ok(Some(Change::Unnoticed));
    }
    let has_default = tokens.takes("DEFAULT");
    if tokens.takes_one_of(&["CHARACTER SET", "CHARSET"]).is_some() {
        tokens.takes_token(&Token::Eq);
        let charset = Some(charset::canonical(&tokens.any()?.replace('\'', "")));
        return Ok(Some(Change::DefaultCharacters { charset, collation: None }));
    }
    if tokens.takes("COLLATE") {
        tokens.takes_token(&Token::Eq);
        let collation = Some(charset::canonical(&tokens.any()?.replace('\'', "")));
        return Ok(Some(Change::DefaultCharacters { charset: None, collation }));
    }
    if has_default {
        return Err(tokens.unexpected());
    }
    if tokens.takes_one_of(&["ENGINE", "TYPE"]).is_some() {
        tokens.takes_token(&Token::Eq);
        return Ok(Some(Change::Engine(tokens.any()?.replace('\'', ""))));
    }
    if tokens.takes("UNION") {
        tokens.takes_token(&Token::Eq);
        tokens.parenthesized()?;
        return Ok(Some(Change::Unnoticed));
    }
    if tokens.takes_one_of(&["DATA DIRECTORY", "INDEX DIRECTORY"]).is_none()
        && tokens.takes_one_of(&OPTIONS).is_none()
    {
        return Ok(None);
    }
    tokens.takes_token(&Token::Eq);
    tokens.any()?;
    Ok(Some(Change::Unnoticed))
}

/// The options of a table, and of ALTER TABLE itself, that no statement notices.
const OPTIONS: [&str; 26] = [
    "ALGORITHM",
    "LOCK",
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DELAY_KEY_WRITE",
    "ENCRYPTION",
    "ENGINE_ATTRIBUTE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "SECONDARY_ENGINE",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PASSWORD",
    "ROW_FORMAT",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLESPACE",
    "STORAGE",
];
