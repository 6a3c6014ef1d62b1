//! Wires the function.

#![recursion_limit = "256"]

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(Ok(preflight::handler::Context::from_env()), preflight::handler::handle).await
}
