//! A database server for what is true.

use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Conn, Opts};

/// MySQL 8's own `sql_mode`.
const STRICT: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
    NO_ENGINE_SUBSTITUTION";
/// The character set that MySQL names where a statement names none for a connection.
const BYTES: u16 = 63;

/// A database that is made anew for each schema.
pub struct Database {
    connection: Conn,
    name: &'static str,
}

impl Database {
    /// A database on the server that the environment names.
    pub fn new(name: &'static str) -> Self {
        let url = std::env::var("PLANETSCALE_EMULATOR_DATABASE_SERVER")
            .expect("python -m cloud.mariadb starts a server");
        let mut connection = Conn::new(Opts::from_url(&url).unwrap()).unwrap();
        connection
            .query_drop(format!("SET sql_mode = '{STRICT}', NAMES utf8mb4 COLLATE utf8mb4_general_ci"))
            .unwrap();
        Self { connection, name }
    }

    /// Makes the database with these statements.
    pub fn make<'a>(&mut self, statements: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let name = self.name;
        for sql in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
            format!("USE {name}"),
        ] {
            self.connection.query_drop(sql).unwrap();
        }
        statements
            .into_iter()
            .try_for_each(|sql| self.connection.query_drop(sql).map_err(|error| format!("{sql}: {error}")))
    }

    /// Runs a statement of `kinds`: why it does not work, if it does not.
    pub fn run(&mut self, statement: &str) -> Result<(), String> {
        let statement = statement.trim_start_matches('!');
        let failed = |why: String| format!("{statement}: {why}");
        if let Some(sql) = statement.strip_prefix('?') {
            let row: Option<mysql::Row> =
                self.connection.query_first(sql).map_err(|error| failed(error.to_string()))?;
            return row.map(|_| ()).ok_or_else(|| failed("no row".into()));
        }
        if let Some((class, sql)) = statement.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            let result = self.connection.query_iter(sql).map_err(|error| failed(error.to_string()))?;
            let columns = result.columns();
            let column = &columns.as_ref()[0];
            let is = class_of(column.column_type(), column.character_set());
            return if is == class { Ok(()) } else { Err(failed(format!("it returns {is}"))) };
        }
        self.connection.query_drop(statement).map_err(|error| failed(error.to_string()))
    }

    /// Runs statements until one does not work.
    pub fn run_all<'a>(&mut self, statements: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        statements.into_iter().try_for_each(|statement| self.run(statement))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.connection.query_drop(format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

fn class_of(column: ColumnType, character_set: u16) -> &'static str {
    use ColumnType as T;
    match column {
        T::MYSQL_TYPE_TINY
        | T::MYSQL_TYPE_SHORT
        | T::MYSQL_TYPE_INT24
        | T::MYSQL_TYPE_LONG
        | T::MYSQL_TYPE_LONGLONG => "whole",
        T::MYSQL_TYPE_NEWDECIMAL | T::MYSQL_TYPE_DECIMAL => "decimal",
        T::MYSQL_TYPE_FLOAT | T::MYSQL_TYPE_DOUBLE => "floating",
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => "date",
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_TIMESTAMP => "datetime",
        _ if character_set == BYTES => "bytes",
        _ => "text",
    }
}
