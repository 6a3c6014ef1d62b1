//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(acquire_lock::handler::Context::from_env(), acquire_lock::handler::handle).await
}
