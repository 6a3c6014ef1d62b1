//! The application: the world behind a lock, and the routes to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::middleware;

use crate::clock::Clock;
use crate::settings::Settings;
use crate::storage::{Storage, StorageError};
use crate::world::World;
use crate::{api, control, watch};

/// What all requests share.
pub struct App {
    world: Mutex<World>,
    pub clock: Clock,
    /// The settings after a reset.
    initial: Settings,
    /// Whether no line per request is written.
    pub quiet: bool,
}

impl App {
    pub fn new(initial: Settings, quiet: bool, storage: Box<dyn Storage>, clock: Clock) -> Self {
        let world = World::new(initial.clone(), storage, clock.now());
        Self { world: Mutex::new(world), clock, initial, quiet }
    }

    /// The world as it is now.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.clock.now());
        world
    }

    /// Makes the world empty.
    ///
    /// # Errors
    /// When the database of a branch cannot be removed.
    pub fn reset(&self) -> Result<(), StorageError> {
        self.world().clear(self.initial.clone())
    }
}

/// The routes of the API and of the control API.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .nest("/v1", api::router())
        .fallback(api::no_such_endpoint)
        .method_not_allowed_fallback(api::no_such_endpoint)
        .layer(middleware::from_fn_with_state(app.clone(), watch::watch))
        .nest("/_control", control::router())
        .with_state(app)
}
