//! Lets the container service pull from the image repository: a CloudFormation custom resource.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(handler::Context::from_env(), handler::handle).await
}
