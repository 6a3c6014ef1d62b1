//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(
        get_container_deployment::handler::Context::from_env(),
        get_container_deployment::handler::handle,
    )
    .await
}
