//! Everything the emulator holds.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::database::{Context, Database};
use crate::deploy_request::{ShownStates, View};
use crate::error::ApiError;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::rate_limit::RateLimits;
use crate::settings::Settings;
use crate::storage::{Storage, StorageError};
use crate::token::Token;

/// The state of the emulator.
pub struct World {
    pub settings: Settings,
    pub organizations: BTreeMap<String, Organization>,
    /// By their IDs.
    pub tokens: BTreeMap<String, Token>,
    pub faults: Faults,
    pub journal: Journal,
    pub rate_limits: RateLimits,
    pub storage: Box<dyn Storage>,
    /// The time up to which everything has happened.
    pub now: Timestamp,
}

/// An organization.
#[derive(Debug)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub created_at: Timestamp,
    pub databases: BTreeMap<String, Database>,
}

impl World {
    pub fn new(settings: Settings, storage: Box<dyn Storage>, now: Timestamp) -> Self {
        Self {
            settings,
            organizations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            faults: Faults::default(),
            journal: Journal::default(),
            rate_limits: RateLimits::default(),
            storage,
            now,
        }
    }

    /// Removes everything but the storage and the time.
    pub fn clear(&mut self, settings: Settings) -> Result<(), StorageError> {
        let databases = self.organizations.values().flat_map(|organization| organization.databases.values());
        for branch in databases.flat_map(|database| &database.branches) {
            self.storage.remove(&branch.id)?;
        }
        self.settings = settings;
        self.organizations.clear();
        self.tokens.clear();
        self.faults = Faults::default();
        self.journal = Journal::default();
        self.rate_limits = RateLimits::default();
        Ok(())
    }

    /// Shows these states of the deploy request that `path` of the API names, or of all of the database it names.
    pub fn show(&mut self, path: &str, shown: &ShownStates) {
        let segments: Vec<_> = path.split('/').collect();
        let [_, _, _, organization, _, database, _, number @ ..] = segments.as_slice() else { return };
        let number = number.first().and_then(|number| number.parse().ok());
        let found = self.organizations.get_mut(*organization).and_then(|o| o.databases.get_mut(*database));
        for request in found.into_iter().flat_map(|database| &mut database.deploy_requests) {
            if number.is_none_or(|number: u64| number == request.number) {
                request.shown = shown.clone();
            }
        }
    }

    /// Removes a database with its branches.
    pub fn remove_database(&mut self, organization: &str, name: &str) -> Result<(), StorageError> {
        let databases = self.organizations.get_mut(organization).map(|found| &mut found.databases);
        for branch in databases.and_then(|found| found.remove(name)).iter().flat_map(|found| &found.branches)
        {
            self.storage.remove(&branch.id)?;
        }
        Ok(())
    }

    /// Lets everything happen that is due until `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        for organization in self.organizations.values_mut() {
            for database in organization.databases.values_mut() {
                let mut cx = Context {
                    organization: database.organization.clone(),
                    database: database.name.clone(),
                    storage: &mut *self.storage,
                    journal: &mut self.journal,
                    settings: &self.settings,
                    now: self.now,
                };
                if cx.storage.has_other_clients() {
                    database.look_at_branches(&mut cx);
                }
                database.advance(now, &mut cx);
            }
        }
        self.now = now;
    }

    /// A database and what work in it needs.
    ///
    /// # Errors
    /// Not found.
    pub fn database(
        &mut self,
        organization: &str,
        database: &str,
    ) -> Result<(&mut Database, Context<'_>), ApiError> {
        let found = self.organizations.get_mut(organization).and_then(|o| o.databases.get_mut(database));
        let found = found.ok_or_else(ApiError::not_found)?;
        let cx = Context {
            organization: organization.to_owned(),
            database: database.to_owned(),
            storage: &mut *self.storage,
            journal: &mut self.journal,
            settings: &self.settings,
            now: self.now,
        };
        Ok((found, cx))
    }
}

impl Database {
    /// The bodies of this database's deploy requests.
    pub fn view<'a>(&'a self, cx: &'a Context<'_>) -> View<'a> {
        View { database: self, settings: cx.settings, now: cx.now }
    }
}
