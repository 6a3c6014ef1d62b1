//! The command line.

use std::net::SocketAddr;

use clap::Parser;

use crate::settings::Settings;

/// A local stand-in for PlanetScale's API.
///
/// It starts empty: organizations, databases and tokens are made through the control API under /_control. When it is
/// ready it prints one line with its address; every request is one line on standard error.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:4570", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Settings other than the defaults, also after a reset; see the README.
    #[arg(long, default_value = "{}", value_parser = settings, value_name = "JSON")]
    pub settings: Settings,

    /// The server whose databases the branches are, as an administrator: `mysql://user:password@host:port`. Without one,
    /// schemas are kept in memory.
    #[arg(long, env = "PLANETSCALE_EMULATOR_DATABASE_SERVER", hide_env_values = true, value_name = "URL")]
    pub database_server: Option<String>,

    /// Write no line per request.
    #[arg(long)]
    pub quiet: bool,
}

impl Default for Options {
    /// The defaults of the command line, at any free port.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            settings: Settings::default(),
            database_server: None,
            quiet: false,
        }
    }
}

fn settings(value: &str) -> Result<Settings, String> {
    let changes = serde_json::from_str(value).map_err(|error| format!("not a JSON object: {error}"))?;
    Settings::default().changed(&changes)
}
