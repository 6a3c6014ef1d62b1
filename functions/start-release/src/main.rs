//! Starts the release that an event, the schedule or a person asks for.

mod handler;
mod settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(handler::Context::from_env(), handler::handle).await
}
