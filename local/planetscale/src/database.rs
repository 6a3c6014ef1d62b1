//! Databases and their branches.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::deploy_request::DeployRequest;
use crate::error::ApiError;
use crate::journal::{Cause, Change, Effect, Journal};
use crate::schema::{Schema, Script, diff};
use crate::settings::Settings;
use crate::storage::{BranchId, Purpose, Storage, StorageError, schema_of};
use crate::token::Actor;

/// A database for MySQL. Its one keyspace has its name.
#[derive(Debug)]
pub struct Database {
    pub id: String,
    pub organization: String,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// `ready`, `sleeping` and so on.
    pub state: String,
    pub default_branch: String,
    pub require_approval_for_deploy: bool,
    pub foreign_keys_enabled: bool,
    /// Tables that bodies show as recently used.
    pub recently_used_tables: BTreeSet<String>,
    pub branches: Vec<Branch>,
    pub deploy_requests: Vec<DeployRequest>,
    pub next: NextOutcomes,
}

/// How the next deploy and the next revert end, where not well.
#[derive(Debug, Default)]
pub struct NextOutcomes {
    /// The next deploy that starts ends in `complete_error` with this text.
    pub deploy_error: Option<String>,
    pub revert: Option<RevertOutcome>,
}

/// How a revert fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevertOutcome {
    /// It is refused with this text.
    Refused(String),
    /// It is accepted and ends in `complete_revert_error` with this text.
    Error(String),
}

/// A branch.
#[derive(Debug)]
pub struct Branch {
    pub id: BranchId,
    pub name: String,
    pub parent: Option<String>,
    pub actor: Option<Actor>,
    pub production: bool,
    pub state: String,
    pub ready: bool,
    pub safe_migrations: SafeMigrations,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub schema_last_updated_at: Option<Timestamp>,
    /// The schema as it was last seen.
    pub seen_schema: Schema,
    /// How often the schema changed.
    pub version: u64,
    /// The parent's version that this branch knows.
    pub parent_version: u64,
    /// Why deployments into this branch do not start.
    pub queue_pause: Option<String>,
}

/// Whether a branch is protected from direct DDL; a change of it shows late.
#[derive(Debug)]
pub struct SafeMigrations {
    before: bool,
    after: bool,
    from: Timestamp,
}

impl SafeMigrations {
    pub fn new(enabled: bool, now: Timestamp) -> Self {
        Self { before: enabled, after: enabled, from: now }
    }

    pub fn are_enabled(&self, now: Timestamp) -> bool {
        if now >= self.from { self.after } else { self.before }
    }

    pub fn set(&mut self, enabled: bool, now: Timestamp, lag: u64) {
        *self = Self { before: self.are_enabled(now), after: enabled, from: now + lag };
    }
}

/// What work in a database needs beside it.
pub struct Context<'a> {
    pub organization: String,
    pub database: String,
    pub storage: &'a mut dyn Storage,
    pub journal: &'a mut Journal,
    pub settings: &'a Settings,
    pub now: Timestamp,
}

impl Context<'_> {
    pub fn record(&mut self, change: Change) {
        let (organization, database) = (self.organization.clone(), self.database.clone());
        self.journal.effects.push(Effect { time: self.now, organization, database, change });
    }
}

/// Twelve letters and digits, as PlanetScale's IDs have.
pub fn new_id() -> String {
    std::iter::repeat_with(|| fastrand::char('0'..='z'))
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(12)
        .collect()
}

/// Why a script was refused.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The branch is protected (the words and the number were seen live).
    #[error(
        "direct DDL is disabled (errno 1105): branch {0} has safe migrations; pass \"force\": true to go around them"
    )]
    Protected(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<crate::schema::SchemaError> for SqlError {
    fn from(error: crate::schema::SchemaError) -> Self {
        Self::Storage(error.into())
    }
}

impl Database {
    pub fn branch(&self, name: &str) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.name == name)
    }

    pub fn branch_mut(&mut self, name: &str) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.name == name)
    }

    /// The schema of a branch.
    pub fn schema(&self, branch: &str, storage: &dyn Storage) -> Result<Schema, StorageError> {
        let branch = self.branch(branch).ok_or_else(|| StorageError::UnknownBranch(branch.to_owned()))?;
        schema_of(storage, &branch.id)
    }

    /// Makes a branch with the schema of its parent.
    pub fn create_branch(
        &mut self,
        name: &str,
        parent: Option<&str>,
        actor: Option<Actor>,
        cx: &mut Context<'_>,
    ) -> Result<(), StorageError> {
        let id = new_id();
        let mut statements = Vec::new();
        let mut parent_version = 0;
        if let Some(parent) = parent {
            statements = self.schema(parent, cx.storage)?.tables().map(|table| table.to_sql()).collect();
            parent_version = self.branch(parent).map_or(0, |parent| parent.version);
        }
        cx.storage.create(&id, &format!("{}_{name}", self.name))?;
        let copied = cx.storage.execute(&id, &statements, Purpose::Sql);
        let seen_schema = match copied.and_then(|()| schema_of(cx.storage, &id)) {
            Ok(schema) => schema,
            Err(error) => {
                cx.storage.remove(&id)?;
                return Err(error);
            }
        };
        self.branches.push(Branch {
            id,
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
            actor,
            production: name == self.default_branch,
            state: "ready".into(),
            ready: true,
            safe_migrations: SafeMigrations::new(name == self.default_branch, cx.now),
            created_at: cx.now,
            updated_at: cx.now,
            schema_last_updated_at: None,
            seen_schema,
            version: 0,
            parent_version,
            queue_pause: None,
        });
        cx.record(Change::BranchCreated { branch: name.to_owned() });
        Ok(())
    }

    /// Removes a branch; its deploy requests stay and say so.
    pub fn delete_branch(
        &mut self,
        name: &str,
        actor: Option<&Actor>,
        cx: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let index =
            self.branches.iter().position(|branch| branch.name == name).ok_or_else(ApiError::not_found)?;
        let is_busy = |request: &&DeployRequest| {
            (request.branch == name || request.into_branch == name) && request.is_in_queue()
        };
        if self.deploy_requests.iter().any(|request| is_busy(&request)) {
            let message = format!("Branch {name} cannot be deleted while a deployment is in progress");
            return Err(ApiError::new(422, message));
        }
        if name == self.default_branch {
            return Err(ApiError::new(422, "The default branch cannot be deleted"));
        }
        let branch = self.branches.remove(index);
        cx.storage.remove(&branch.id)?;
        for request in self.deploy_requests.iter_mut().filter(|request| request.branch_id == branch.id) {
            request.branch_deleted = Some((actor.cloned(), cx.now));
        }
        cx.record(Change::BranchDeleted { branch: name.to_owned() });
        Ok(())
    }

    /// Executes a script in a branch as a developer with a MySQL client would; on an error nothing is changed.
    pub fn run_sql(
        &mut self,
        branch: &str,
        sql: &str,
        force: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), SqlError> {
        let script = Script::parse(sql)?;
        let is_protected =
            self.branch(branch).is_some_and(|branch| branch.safe_migrations.are_enabled(cx.now));
        if is_protected && !force {
            return Err(SqlError::Protected(branch.to_owned()));
        }
        let statements = script.statements().iter().map(|(_, text)| text.clone()).collect();
        self.change_schema(branch, statements, Purpose::Sql, cx)?;
        Ok(())
    }

    /// Executes statements in a branch: all of them, or on an error none.
    pub fn change_schema(
        &mut self,
        branch: &str,
        statements: Vec<String>,
        purpose: Purpose,
        cx: &mut Context<'_>,
    ) -> Result<(), StorageError> {
        let id = self.branch(branch).map(|branch| branch.id.clone()).unwrap_or_default();
        cx.storage.execute(&id, &statements, purpose)?;
        let schema = schema_of(cx.storage, &id)?;
        self.see_schema(branch, schema, statements, purpose, cx);
        Ok(())
    }

    /// Looks for changes that were made in a branch's database without the emulator, and sets who may make them.
    pub fn look_at_branches(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.branches.len() {
            let branch = &self.branches[index];
            let may_change = !branch.safe_migrations.are_enabled(cx.now);
            // A database that cannot be asked or read is told of by what needs its schema.
            let _ = cx.storage.allow_ddl(&branch.id, may_change);
            let Ok(schema) = schema_of(cx.storage, &branch.id) else { continue };
            let changes = diff(&branch.seen_schema, &schema);
            let statements = changes.into_iter().map(|change| change.statement).collect();
            let name = branch.name.clone();
            self.see_schema(&name, schema, statements, Purpose::Sql, cx);
        }
    }

    fn see_schema(
        &mut self,
        name: &str,
        schema: Schema,
        statements: Vec<String>,
        purpose: Purpose,
        cx: &mut Context<'_>,
    ) {
        let now = cx.now;
        let Some(branch) = self.branch_mut(name).filter(|branch| branch.seen_schema != schema) else {
            return;
        };
        branch.seen_schema = schema;
        branch.version += 1;
        branch.schema_last_updated_at = Some(now);
        branch.updated_at = now;
        let (cause, deploy_request) = match purpose {
            Purpose::Sql => (Cause::Sql, None),
            Purpose::Deploy(number) => (Cause::Deploy, Some(number)),
            Purpose::Revert(number) => (Cause::Revert, Some(number)),
        };
        cx.record(Change::SchemaChanged { branch: name.to_owned(), cause, deploy_request, statements });
        self.schema_changed(name, deploy_request, cx);
    }
}
