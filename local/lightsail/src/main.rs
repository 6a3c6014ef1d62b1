//! The emulator as a program; see the crate's README.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use lightsail_emulator::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // Before there is a second thread, with which no process can make a user namespace.
    if let Some(code) = lightsail_emulator::run_if_started_as_container() {
        return code;
    }
    match run(Options::parse().with_credentials_of_environment()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "lightsail-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(options).await?;
    writeln!(io::stdout(), "listening on http://{}", server.address())?;
    io::stdout().flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}
