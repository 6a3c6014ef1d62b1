//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(grant_image_pull::handler::Context::from_env(), grant_image_pull::handler::handle)
        .await
}
