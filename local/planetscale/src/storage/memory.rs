//! Schemas in memory, without rows.

use std::collections::BTreeMap;

use super::{BranchId, Purpose, Storage, StorageError};
use crate::schema::Schema;

/// Schemas in memory, without rows.
#[derive(Debug, Default)]
pub struct Memory {
    branches: BTreeMap<BranchId, Schema>,
}

impl Storage for Memory {
    fn create(&mut self, branch: &BranchId, _label: &str) -> Result<(), StorageError> {
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

    fn execute(
        &mut self,
        branch: &BranchId,
        statements: &[String],
        _purpose: Purpose,
    ) -> Result<(), StorageError> {
        let schema =
            self.branches.get_mut(branch).ok_or_else(|| StorageError::UnknownBranch(branch.clone()))?;
        *schema = schema.changed(statements)?;
        Ok(())
    }
}
