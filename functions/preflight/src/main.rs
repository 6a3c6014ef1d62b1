//! Says what would make the first release fail: at the install, as a custom resource, and when asked. It only reads.

mod handler;
mod looks;
mod settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(Ok(handler::Context::from_env()), handler::handle).await
}
