//! Answers with the hotels of a MySQL database.
//!
//! `LISTEN` is the address to listen on, `DSN` the connection string of the database.

mod config;
mod database;
mod dsn;
mod routes;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{Level, error, info, warn};

use crate::config::Config;
use crate::database::{Database, Refused};

/// What running requests get after SIGTERM. Container services kill after 30 s or so.
const GRACE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(Level::INFO).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::read(|name| env::var(name).ok())?;
    let database = Database::new(config.dsn);
    // A wrong connection string ends the process, so that a release with it fails.
    // A database that is away does not: it comes back, and a restart would not bring it sooner.
    match database.check().await {
        Ok(()) => info!("the database answers"),
        Err(failure) => match failure.refused() {
            Some(Refused(reason)) => return Err(format!("DSN: {reason}: {failure}").into()),
            None => warn!(%failure, "the database does not answer; going on without it"),
        },
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("LISTEN: cannot listen on {}: {error}", config.listen))?;
    info!(address = %listener.local_addr()?, "listening");
    serve(listener, database.clone()).await?;
    database.disconnect().await;
    info!("stopped");
    Ok(())
}

/// Serve until SIGTERM or SIGINT, and then until the running requests are answered.
async fn serve(listener: TcpListener, database: Database) -> Result<(), Box<dyn Error>> {
    let (stop, mut stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        stop.send_replace(true);
        // The sender lives on: a dropped one would look like a second signal.
        stop.closed().await;
    });
    let mut draining = stopping.clone();
    let server = axum::serve(listener, routes::router(database)).with_graceful_shutdown(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        result = server => result?,
        () = async {
            let _ = draining.wait_for(|stop| *stop).await;
            tokio::time::sleep(GRACE).await;
        } => warn!("some requests were not answered in time"),
    }
    Ok(())
}
