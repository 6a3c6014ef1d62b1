//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(
        get_deploy_request::handler::Context::from_env(),
        get_deploy_request::handler::handle,
    )
    .await
}
