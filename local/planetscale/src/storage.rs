//! The databases behind the branches.

mod memory;
mod server;

use serde::Serialize;
use thiserror::Error;

use crate::schema::{Schema, SchemaError};

pub use memory::Memory;
pub use server::{ConnectError, DatabaseServer};

/// The ID of a branch, which is unique in the emulator.
pub type BranchId = String;

/// Where the tables of branches are kept.
///
/// Calls come one at a time, and may block.
pub trait Storage: Send {
    /// Makes an empty database for a new branch, which people call `label`.
    ///
    /// # Errors
    /// What the database says.
    fn create(&mut self, branch: &BranchId, label: &str) -> Result<(), StorageError>;

    /// Removes the database of a branch that is gone, with everything that was kept for it.
    ///
    /// # Errors
    /// What the database says.
    fn remove(&mut self, branch: &BranchId) -> Result<(), StorageError>;

    /// Every table of a branch, each as the text of MySQL's `SHOW CREATE TABLE`.
    ///
    /// # Errors
    /// What the database says.
    fn tables(&self, branch: &BranchId) -> Result<Vec<String>, StorageError>;

    /// Executes statements in a branch: all of them, or on an error none.
    ///
    /// # Errors
    /// What the database says; nothing is changed then.
    fn execute(
        &mut self,
        branch: &BranchId,
        statements: &[String],
        purpose: Purpose,
    ) -> Result<(), StorageError>;

    /// Gives up what a deploy kept for its revert.
    ///
    /// # Errors
    /// What the database says.
    fn forget(&mut self, _branch: &BranchId, _deploy_request: u64) -> Result<(), StorageError> {
        Ok(())
    }

    /// Sets whether a branch takes DDL from its own user.
    ///
    /// # Errors
    /// What the database says.
    fn allow_ddl(&mut self, _branch: &BranchId, _allowed: bool) -> Result<(), StorageError> {
        Ok(())
    }

    /// How an application connects to a branch; nothing where there is nothing to connect to.
    ///
    /// # Errors
    /// What the database says.
    fn connection(&mut self, _branch: &BranchId) -> Result<Option<Connection>, StorageError> {
        Ok(None)
    }

    /// Whether schemas can change without this emulator.
    fn has_other_clients(&self) -> bool {
        false
    }
}

/// What statements are executed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A developer's own change.
    Sql,
    /// The deploy request with this number. The rows and values that go are kept until `forget`.
    Deploy(u64),
    /// The revert of the deploy request with this number. What its deploy kept comes back.
    Revert(u64),
}

/// How an application connects to a branch, under the names that PlanetScale's passwords have in its API.
#[derive(Debug, Clone, Serialize)]
pub struct Connection {
    /// `host:port`.
    pub access_host_url: String,
    pub username: String,
    /// The password.
    pub plain_text: String,
    pub database: String,
    /// The whole as `mysql://…`.
    pub url: String,
    /// The whole in the form of Go's driver.
    pub dsn: String,
}

/// What a database refused.
#[derive(Debug, Error)]
pub enum StorageError {
    /// It has no database for this branch.
    #[error("there is no database for branch {0}")]
    UnknownBranch(BranchId),
    /// It refused a statement.
    #[error(transparent)]
    Statement(#[from] SchemaError),
    /// It cannot be asked.
    #[error("the database server cannot be asked: {0}")]
    Server(String),
    /// What was done before a statement was refused could not be undone.
    #[error("{error}; and what was done before could not be undone: {cause}")]
    HalfDone { error: Box<StorageError>, cause: Box<StorageError> },
    /// Values that were kept belong to rows that nothing identifies.
    #[error(
        "the values of {columns} in table {table} cannot be brought back: no unique key is the same before and after"
    )]
    NoSharedKey { table: String, columns: String },
}

/// The schema of a branch.
///
/// # Errors
/// What the database says, or that its text cannot be read here.
pub fn schema_of(storage: &dyn Storage, branch: &BranchId) -> Result<Schema, StorageError> {
    Ok(Schema::from_tables(storage.tables(branch)?)?)
}
