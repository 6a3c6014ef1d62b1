//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(verify_service::handler::Context::from_env(), verify_service::handler::handle).await
}
