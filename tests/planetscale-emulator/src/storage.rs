//! The databases behind the branches.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::schema::{Schema, SchemaError, Script};

/// The ID of a branch, which is unique in the emulator.
pub type BranchId = String;

/// Where the tables of branches are kept.
///
/// Calls come one at a time, and may block.
pub trait Storage: Send {
    /// Makes an empty database for a new branch.
    ///
    /// # Errors
    /// What the database says.
    fn create(&mut self, branch: &BranchId) -> Result<(), StorageError>;

    /// Removes the database of a branch that is gone.
    ///
    /// # Errors
    /// What the database says.
    fn remove(&mut self, branch: &BranchId) -> Result<(), StorageError>;

    /// Every table of a branch, each as the text of `SHOW CREATE TABLE`.
    ///
    /// # Errors
    /// What the database says.
    fn tables(&self, branch: &BranchId) -> Result<Vec<String>, StorageError>;

    /// Executes one statement in a branch.
    ///
    /// # Errors
    /// What the database says; nothing is changed then.
    fn execute(&mut self, branch: &BranchId, statement: &str) -> Result<(), StorageError>;
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
}

/// Schemas in memory, without rows.
#[derive(Debug, Default)]
pub struct Memory {
    branches: BTreeMap<BranchId, Schema>,
}

impl Storage for Memory {
    fn create(&mut self, branch: &BranchId) -> Result<(), StorageError> {
        self.branches.insert(branch.clone(), Schema::default());
        Ok(())
    }

    fn remove(&mut self, branch: &BranchId) -> Result<(), StorageError> {
        self.branches.remove(branch);
        Ok(())
    }

    fn tables(&self, branch: &BranchId) -> Result<Vec<String>, StorageError> {
        let schema = self.branches.get(branch).ok_or_else(|| StorageError::UnknownBranch(branch.clone()))?;
        Ok(schema.tables().map(|table| table.to_sql()).collect())
    }

    fn execute(&mut self, branch: &BranchId, statement: &str) -> Result<(), StorageError> {
        let schema =
            self.branches.get_mut(branch).ok_or_else(|| StorageError::UnknownBranch(branch.clone()))?;
        Ok(schema.run(&Script::parse(statement)?)?)
    }
}

/// The schema of a branch.
///
/// # Errors
/// What the database says, or that its text cannot be read here.
pub fn schema_of(storage: &dyn Storage, branch: &BranchId) -> Result<Schema, StorageError> {
    Ok(Schema::from_tables(storage.tables(branch)?)?)
}
