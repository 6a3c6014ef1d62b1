//! All or nothing in a server that cannot take DDL back, and what a revert brings back.
//!
//! Tables in which statements can lose rows or values are copied aside before. When a statement is refused, and when a
//! deploy is reverted, the tables get their old structure in place, so that writes made meanwhile stay, and what is
//! missing comes from the copies.

use mysql::PooledConn;
use mysql::prelude::Queryable;

use super::DatabaseServer;
use crate::schema::{Operation, Schema, Table, TableDiff, diff, quoted};
use crate::storage::{Purpose, StorageError};

type Outcome = Result<(), StorageError>;

/// The database in which a deploy keeps what its revert brings back.
pub fn database_name(database: &str, deploy_request: u64) -> String {
    format!("{database}_kept_{deploy_request}")
}

pub fn drop_database(connection: &mut PooledConn, database: &str) -> Outcome {
    Ok(connection.query_drop(format!("DROP DATABASE IF EXISTS {}", quoted(database)))?)
}

impl DatabaseServer {
    /// Executes statements: all of them, or on an error none.
    pub(super) fn change(&self, database: &str, statements: &[String], purpose: Purpose) -> Outcome {
        let mut connection = self.session()?;
        let before = self.schema(&mut connection, database)?;
        let after = before.changed(statements)?;
        let changes = diff(&before, &after);
        let aside = match purpose {
            Purpose::Deploy(number) => database_name(database, number),
            Purpose::Sql | Purpose::Revert(_) => format!("{database}_undo"),
        };
        keep(&mut connection, database, &aside, &before, &changes)?;
        let outcome = match purpose {
            Purpose::Revert(number) => {
                self.return_to(&mut connection, database, &after, &database_name(database, number))
            }
            Purpose::Sql | Purpose::Deploy(_) => {
                statements.iter().try_for_each(|statement| self.run(&mut connection, database, statement))
            }
        };
        let outcome = outcome.map_err(|error| {
            let touched = changes.iter().map(|change| change.table.as_str());
            let undone = self.schema(&mut connection, database).and_then(|now| {
                self.return_to(&mut connection, database, &now.with_tables_of(&before, touched), &aside)
            });
            match undone {
                Ok(()) => error,
                Err(cause) => StorageError::HalfDone { error: Box::new(error), cause: Box::new(cause) },
            }
        });
        if outcome.is_err() || !matches!(purpose, Purpose::Deploy(_)) {
            drop_database(&mut connection, &aside)?;
        }
        outcome
    }

    /// Gives a database the schema `target`, with the rows and values that are kept in the database `aside`.
    fn return_to(
        &self,
        connection: &mut PooledConn,
        database: &str,
        target: &Schema,
        aside: &str,
    ) -> Outcome {
        let kept = self.schema(connection, aside)?;
        let now = self.schema(connection, database)?;
        let mut later = Vec::new();
        for change in diff(&now, target).iter().filter(|change| kept.table(&change.table).is_some()) {
            if let (Some(from), Some(to)) = (now.table(&change.table), target.table(&change.table)) {
                self.bring_columns_back(connection, database, aside, from, to)?;
                later.extend(self.mark_unchanged_values(connection, database, aside, from, to)?);
            }
        }
        let now = self.schema(connection, database)?;
        for change in diff(&now, target) {
            self.run(connection, database, &change.statement)?;
            if let (Operation::Create, Some(table)) = (change.operation, kept.table(&change.table)) {
                copy_rows(connection, aside, database, table)?;
            }
        }
        Ok(later.iter().try_for_each(|update| connection.query_drop(update))?)
    }

    /// Adds the columns that only `to` has, with the values of the rows that are still there. Their keys come later, so
    /// that they find the values.
    fn bring_columns_back(
        &self,
        connection: &mut PooledConn,
        database: &str,
        aside: &str,
        from: &Table,
        to: &Table,
    ) -> Outcome {
        let columns = to.columns_not_in(from);
        if columns.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
        let rows = same_rows(database, aside, from, to, &names)?;
        let added: Vec<String> =
            columns.iter().map(|(_, definition)| format!("ADD COLUMN {definition}")).collect();
        self.run(connection, database, &format!("ALTER TABLE {} {}", quoted(to.name()), added.join(", ")))?;
        let values: Vec<String> = names.iter().map(|name| format!("own.{name} = kept.{name}")).collect();
        Ok(connection.query_drop(format!("UPDATE {rows} SET {}", values.join(", ")))?)
    }

    /// Looks which values are still what a change of their type made of the kept ones. The statements that give these
    /// rows the kept values are for when the columns have their old type again.
    fn mark_unchanged_values(
        &self,
        connection: &mut PooledConn,
        database: &str,
        aside: &str,
        from: &Table,
        to: &Table,
    ) -> Result<Vec<String>, StorageError> {
        let table = quoted(to.name());
        let mut updates = Vec::new();
        for (index, (name, _)) in to.columns_of_other_type(from, "").iter().enumerate() {
            let (name, changed, same) =
                (quoted(name), format!("~changed {index}"), quoted(&format!("~same {index}")));
            let rows = same_rows(database, aside, from, to, std::slice::from_ref(&name))?;
            let definition = &to.columns_of_other_type(from, &changed)[index].1;
            let changed = quoted(&changed);
            self.run(
                connection,
                aside,
                &format!("ALTER TABLE {table} ADD COLUMN {definition}, ADD COLUMN {same} BOOL"),
            )?;
            for update in [
                format!("UPDATE {}.{table} SET {changed} = {name}", quoted(aside)),
                format!("UPDATE {rows} SET kept.{same} = (BINARY own.{name} <=> BINARY kept.{changed})"),
            ] {
                connection.query_drop(update)?;
            }
            updates.push(format!("UPDATE {rows} SET own.{name} = kept.{name} WHERE kept.{same}"));
        }
        Ok(updates)
    }
}

/// A table joined with its copy, for an update of `columns`.
fn same_rows(
    database: &str,
    aside: &str,
    from: &Table,
    to: &Table,
    columns: &[String],
) -> Result<String, StorageError> {
    let table = quoted(to.name());
    let key = to.row_keys().into_iter().find(|key| key.iter().all(|name| from.has_column(name)));
    let key =
        key.ok_or_else(|| StorageError::NoSharedKey { table: table.clone(), columns: columns.join(", ") })?;
    let same: Vec<String> = key.iter().map(|name| format!("own.{0} = kept.{0}", quoted(name))).collect();
    let (database, aside) = (quoted(database), quoted(aside));
    Ok(format!("{database}.{table} own JOIN {aside}.{table} kept ON {}", same.join(" AND ")))
}

/// Copies the tables in which these changes can lose something.
fn keep(
    connection: &mut PooledConn,
    database: &str,
    aside: &str,
    before: &Schema,
    changes: &[TableDiff],
) -> Outcome {
    drop_database(connection, aside)?;
    connection.query_drop(format!("CREATE DATABASE {}", quoted(aside)))?;
    let losing = changes.iter().filter(|change| change.can_drop_data);
    for table in losing.filter_map(|change| before.table(&change.table)) {
        let name = quoted(table.name());
        let (from, to) = (quoted(database), quoted(aside));
        connection.query_drop(format!("CREATE TABLE {to}.{name} LIKE {from}.{name}"))?;
        copy_rows(connection, database, aside, table)?;
    }
    Ok(())
}

fn copy_rows(connection: &mut PooledConn, from: &str, to: &str, table: &Table) -> Outcome {
    let columns: Vec<String> = table.own_columns().map(quoted).collect();
    let (columns, name) = (columns.join(", "), quoted(table.name()));
    Ok(connection.query_drop(format!(
        "INSERT INTO {}.{name} ({columns}) SELECT {columns} FROM {}.{name}",
        quoted(to),
        quoted(from)
    ))?)
}
