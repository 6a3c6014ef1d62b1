//! Wires the function.

#![recursion_limit = "256"]

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(start_release::handler::Context::from_env(), start_release::handler::handle).await
}
