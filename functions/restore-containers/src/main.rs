//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(
        restore_containers::handler::Context::from_env(),
        restore_containers::handler::handle,
    )
    .await
}
